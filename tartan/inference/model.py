"""Where the exported model of a run is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tartan.errors import CheckpointError
from tartan.experiment.summary import read_summary
from tartan.report.record import MODEL, SUMMARY


@dataclass(frozen=True)
class LongTexts:
    """How texts are read that are longer than the model reads.

    Attributes:
        long: `truncate`, `head_tail` or `chunks`, as `model.long` says.
        max_chunks: the most chunks that a text is read in.
    """

    long: str = "truncate"
    max_chunks: int = 8


@dataclass(frozen=True)
class Place:
    """Where an exported model is.

    Attributes:
        directory: the model's.
        trusted: whether its run allowed Python code that comes with the model.
        long: how the run read long texts.
    """

    directory: Path
    trusted: bool = False
    long: LongTexts = LongTexts()


def model_directory(run: Path) -> Place:
    """Return where the model of a run is; of a model's own directory, that directory.

    Raises:
        CheckpointError: neither is there.
    """
    if (run / SUMMARY).is_file():
        summary = read_summary(run) or {}
        return Place(run / MODEL, trusted(summary), long_texts(summary))
    if (run / "config.json").is_file():
        return Place(run)
    raise CheckpointError(
        f"{run} is neither a finished run ({SUMMARY} is missing) nor a model (config.json is "
        "missing): give the directory of a run that is complete"
    )


def trusted(summary: Mapping[str, Any]) -> bool:
    """Return whether a run, by its summary, allowed Python code that comes with its model."""
    return bool(_model(summary).get("trust_remote_code", False))


def long_texts(summary: Mapping[str, Any]) -> LongTexts:
    """Return how a run, by its summary, read long texts."""
    model = _model(summary)
    names = ("long", "max_chunks")
    return LongTexts(**{name: model[name] for name in names if name in model})


def _model(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the section `model` of a run's configuration."""
    configuration = summary.get("identity", {}).get("parts", {}).get("configuration", {})
    model: Mapping[str, Any] = configuration.get("model", {})
    return model
