"""Why a model cannot be used, and what to do: found in its files, or in how the hub answered."""

import json
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from transformers import PretrainedConfig
from transformers.utils.peft_utils import find_adapter_config_file

from tartan.body.adapters import ADAPTER_FILE
from tartan.body.auto_class import has_encoder_alone
from tartan.errors import ModelError, first_line
from tartan.quiet import quiet


def check_directory(path: Path) -> None:
    """Raise ModelError unless a directory can hold a model of transformers."""
    name = f"model.name={path}"
    if (path / ADAPTER_FILE).is_file():
        raise _adapter(str(path), path / ADAPTER_FILE)
    if (path / "config.json").is_file():
        return
    inner = sorted(p.parent.name for p in path.glob("*/config.json"))
    if (path / "modules.json").is_file() and inner:
        raise ModelError(
            f"{name} is a directory of sentence-transformers with the model inside: give "
            f"{path / inner[0]}"
        )
    if any(path.glob("*.gguf")):
        raise ModelError(
            f"{name} holds quantised weights (GGUF), which cannot be trained: give the model that "
            "they were made from"
        )
    hint = f"; {path / inner[0]} has one" if inner else ""
    raise ModelError(f"{name}: the directory has no config.json{hint}")


def check_kind(name: str, config: PretrainedConfig) -> None:
    """Raise ModelError where a configuration is of a model that cannot be a body.

    Args:
        name: a directory or an id on the Hugging Face hub.
        config: its configuration.
    """
    quantised = getattr(config, "quantization_config", None)
    if quantised is not None:
        given = quantised if isinstance(quantised, dict) else quantised.to_dict()
        raise ModelError(
            f"model.name={name} has quantised weights ({given.get('quant_method', 'unknown')}), "
            "which cannot be trained: give the model that they were made from; "
            "model.lora.base=bf16 halves its memory"
        )
    if config.is_encoder_decoder and not has_encoder_alone(config):
        raise ModelError(
            f"model.name={name} ({config.model_type}) is an encoder-decoder: choose an encoder or "
            "a decoder"
        )


def unreadable(name: str, error: OSError) -> ModelError:
    """Return the error for a model whose configuration could not be read.

    Args:
        name: a directory or an id on the Hugging Face hub.
        error: what transformers raised.
    """
    where, causes = f"model.name={name}", tuple(_chain(error))
    not_here = f"{where} is not a local directory and not in the Hugging Face cache, and"

    def caused(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if caused(GatedRepoError):
        text = (
            f"{where} is a gated model: accept its terms at {constants.ENDPOINT}/{name}, and log "
            "in with `hf auth login`"
        )
    elif caused(RepositoryNotFoundError):
        text = (
            f"{where}: there is no such directory here, and no such model on the Hugging Face hub; "
            "if it is private, log in with `hf auth login`"
        )
    elif (file := _adapter_file(name)) is not None:
        return _adapter(name, file)
    elif caused(EntryNotFoundError) and not caused(LocalEntryNotFoundError):
        text = f"{where}: the model on the Hugging Face hub has no config.json"
    elif constants.HF_HUB_OFFLINE or caused(OfflineModeIsEnabled):
        text = f"{not_here} HF_HUB_OFFLINE forbids to download it: unset it, or give a directory"
    elif caused(LocalEntryNotFoundError, HfHubHTTPError, ConnectionError):
        text = (
            f"{not_here} the hub cannot be reached ({constants.ENDPOINT}): check the network, or "
            "give a directory"
        )
    else:
        text = f"{where}: its configuration cannot be read ({first_line(error)})"
    return ModelError(text)


def _adapter(name: str, file: Path) -> ModelError:
    """Return the error for an adapter without its base model."""
    try:
        base = json.loads(file.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError):
        base = None
    return ModelError(
        f"model.name={name} holds an adapter of {base or 'another model'}, not a model: merge it "
        "with peft's merge_and_unload and save the result, or train the base model"
    )


def _adapter_file(name: str) -> Path | None:
    """Return the configuration of an adapter on the hub or in its cache; None if there is none."""
    try:
        with quiet():
            found = find_adapter_config_file(name)
    except (OSError, ValueError):
        return None
    return None if found is None else Path(found)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
