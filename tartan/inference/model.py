"""Where the exported model of a run is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tartan.errors import CheckpointError
from tartan.experiment.summary import read_summary
from tartan.report.record import MODEL, SUMMARY


@dataclass(frozen=True)
class Place:
    """Where an exported model is.

    Attributes:
        directory: the model's.
        trusted: whether its run allowed Python code that comes with the model.
    """

    directory: Path
    trusted: bool = False


def model_directory(run: Path) -> Place:
    """Return where the model of a run is; of a model's own directory, that directory.

    Raises:
        CheckpointError: neither is there.
    """
    if (run / SUMMARY).is_file():
        return Place(run / MODEL, trusted(read_summary(run) or {}))
    if (run / "config.json").is_file():
        return Place(run)
    raise CheckpointError(
        f"{run} is neither a finished run ({SUMMARY} is missing) nor a model (config.json is "
        "missing): give the directory of a run that is complete"
    )


def trusted(summary: Mapping[str, Any]) -> bool:
    """Return whether a run, by its summary, allowed Python code that comes with its model."""
    configuration = summary.get("identity", {}).get("parts", {}).get("configuration", {})
    return bool(configuration.get("model", {}).get("trust_remote_code", False))
