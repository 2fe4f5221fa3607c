"""Where a run's model comes from: base model, licence, data and command, for its card."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download, metadata_load
from huggingface_hub.errors import EntryNotFoundError, OfflineModeIsEnabled

from tartan.body import ModelSource
from tartan.config.schema import Config
from tartan.experiment.identity import FREE
from tartan.quiet import quiet
from tartan.report.card import Origin

CARD = "README.md"


def origin_of(
    config: Config, summary: Mapping[str, Any], command: Sequence[str], source: ModelSource
) -> Origin:
    """Return where the model of a run comes from.

    Args:
        config: the run's.
        summary: the content of summary.json.
        command: the run's overrides.
        source: of the model.
    """
    base = config.model.get("name")
    on_hub = base is not None and not Path(base).expanduser().exists()
    data = config.data.get("name") if config.data.get("source") == "hub" else None
    if data is not None and Path(str(data)).expanduser().exists():
        data = None
    environment = summary["identity"]["parts"]["environment"]
    revision = environment.get(f"hub revision of {base}")
    licence = None if base is None else licence_of(str(base), on_hub, revision)
    told = shareable(command)
    return Origin(base, on_hub, licence, data, told, source.max_length, source.long)


def shareable(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that say what was trained, without those that say where.

    >>> shareable(["weighting=meta", "run_dir=/home/me/x", "hydra.job.name=x"])
    ['weighting=meta']
    """
    keys = ((text, text.lstrip("+~").partition("=")[0]) for text in overrides)
    return [text for text, key in keys if key not in FREE and not key.startswith("hydra")]


def licence_of(model: str, on_hub: bool, revision: str | None) -> str | None:
    """Return the licence that a model's card names; None where none is known.

    Args:
        model: a directory, or an id of the hub.
        on_hub: which of them it is.
        revision: the commit of the hub that was loaded.
    """
    path = Path(model).expanduser() / CARD
    # No card, none in the cache and no network, or metadata that is not valid: it is not known.
    with suppress(OSError, ValueError, EntryNotFoundError, OfflineModeIsEnabled), quiet():
        if on_hub:
            path = Path(hf_hub_download(model, CARD, revision=revision))
        found = (metadata_load(path) or {}).get("license")
        return found if isinstance(found, str) else None
    return None
