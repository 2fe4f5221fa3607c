"""Where the exported model of a run is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tartan.errors import CheckpointError
from tartan.experiment.summary import read_summary
from tartan.report.record import MODEL, SUMMARY

ROLES = ("text", "pair", "label", "labels", "tokens", "tags")
"""What a column may hold, as options of data sources name it."""


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
        columns: by role, the columns that the run's options named.
    """

    directory: Path
    trusted: bool = False
    long: LongTexts = LongTexts()
    columns: Mapping[str, Any] = field(default_factory=dict)


def model_directory(run: Path) -> Place:
    """Return where the model of a run is; of a model's own directory, that directory.

    Raises:
        CheckpointError: neither is there.
    """
    if (run / SUMMARY).is_file():
        summary = read_summary(run) or {}
        return Place(run / MODEL, trusted(summary), long_texts(summary), named_columns(summary))
    if any((run / name).is_file() for name in ("config.json", "adapter_config.json")):
        return Place(run)
    raise CheckpointError(
        f"{run} is neither a finished run ({SUMMARY} is missing) nor a model (config.json is "
        "missing): give the directory of a run that is complete"
    )


def trusted(summary: Mapping[str, Any]) -> bool:
    """Return whether a run, by its summary, allowed Python code that comes with its model."""
    return bool(_section(summary, "model").get("trust_remote_code", False))


def long_texts(summary: Mapping[str, Any]) -> LongTexts:
    """Return how a run, by its summary, read long texts."""
    model = _section(summary, "model")
    names = ("long", "max_chunks")
    return LongTexts(**{name: model[name] for name in names if name in model})


def named_columns(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that a run's options named, by role, by its summary.

    `labels` is a list: the columns of a run that reads one for each label.
    """
    data = _section(summary, "data")
    found = {
        role: data.get(role) or data.get(f"{role}_column") or data.get(f"{role}_field")
        for role in ROLES
    }
    return {role: column for role, column in found.items() if column}


def completed(
    given: Mapping[str, Any],
    named: Mapping[str, Any],
    columns: Collection[str],
    roles: Collection[str] = ROLES,
) -> dict[str, Any]:
    """Return the columns that are given, and those that a run's options named if a file has them.

    Args:
        given: by role, None where it is to be found.
        named: what `named_columns` returned.
        columns: those of the file.
        roles: what is to be found.

    >>> completed({"label": "y"}, {"text": "body", "label": "class"}, ["body", "y"])
    {'text': 'body', 'label': 'y'}
    """

    def there(column: Any) -> bool:
        return all(name in columns for name in (column if isinstance(column, list) else [column]))

    own = {role: column for role, column in named.items() if role in roles and there(column)}
    return own | {role: column for role, column in given.items() if column is not None}


def _section(summary: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a section of a run's configuration."""
    configuration = summary.get("identity", {}).get("parts", {}).get("configuration", {})
    section: Mapping[str, Any] = configuration.get(name, {})
    return section
