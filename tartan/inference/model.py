"""Where the exported model of a run is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tartan.body.adapters import ADAPTER_FILE
from tartan.errors import CheckpointError, DataError
from tartan.experiment.summary import read_summary
from tartan.report.record import MODEL, SUMMARY

COMPLETE = "give the directory of a run that is complete"
"""How an error ends where a directory has no finished run."""
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
        columns: by role, the columns that the run read.
        pairs: whether the run's texts were pairs; None where it is not known.
    """

    directory: Path
    trusted: bool = False
    long: LongTexts = LongTexts()
    columns: Mapping[str, Any] = field(default_factory=dict)
    pairs: bool | None = None


def model_directory(run: Path) -> Place:
    """Return where the model of a run is; of a model's own directory, that directory.

    Raises:
        CheckpointError: neither is there.
    """
    check_directory(run)
    if (run / SUMMARY).is_file():
        summary = read_summary(run) or {}
        columns, pairs = named_columns(summary), read_pairs(summary)
        return Place(run / MODEL, trusted(summary), long_texts(summary), columns, pairs)
    if any((run / name).is_file() for name in ("config.json", ADAPTER_FILE)):
        return Place(run)
    raise CheckpointError(
        f"{run} is neither a finished run ({SUMMARY} is missing) nor a model (config.json is "
        f"missing): {COMPLETE}"
    )


def check_directory(run: Path, hint: str = COMPLETE) -> None:
    """CheckpointError where a file is given in place of a run's directory."""
    if run.is_file():
        raise CheckpointError(f"{run} is not a run's directory, but a file: {hint}")


def finished_summary(run: Path, hint: str = COMPLETE) -> Mapping[str, Any]:
    """Return the summary of the run in a directory. CheckpointError unless it is complete.

    Args:
        run: the directory.
        hint: how the error ends: what to give instead.
    """
    check_directory(run, hint)
    summary = read_summary(run)
    if summary is None:
        raise CheckpointError(f"{run} has no finished run ({SUMMARY} is missing): {hint}")
    return summary


def trusted(summary: Mapping[str, Any]) -> bool:
    """Return whether a run, by its summary, allowed Python code that comes with its model."""
    return bool(_section(summary, "model").get("trust_remote_code", False))


def long_texts(summary: Mapping[str, Any]) -> LongTexts:
    """Return how a run, by its summary, read long texts."""
    model = _section(summary, "model")
    names = ("long", "max_chunks")
    return LongTexts(**{name: model[name] for name in names if name in model})


def named_columns(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that a run read, by role, by its summary.

    Those of an older version are the ones that its options named. `labels` is a list: the columns
    of a run that reads one for each label. A second text is not named where the run's texts were
    not pairs.
    """
    data = _section(summary, "data")
    found = {
        role: data.get(role) or data.get(f"{role}_column") or data.get(f"{role}_field")
        for role in ROLES
        if role != "pair" or read_pairs(summary) is not False
    }
    chosen: Mapping[str, Any] = summary["task"].get("columns", {})
    return {**chosen, **{role: column for role, column in found.items() if column}}


def read_pairs(summary: Mapping[str, Any]) -> bool | None:
    """Return whether a run's texts were pairs; None of an older version's, which did not say."""
    found: bool | None = summary["task"].get("pairs")
    return found


def check_pairs(pairs: bool | None, columns: Mapping[str, str], name: str) -> None:
    """DataError where a file has no second text and the run's texts were pairs, or the reverse.

    Args:
        pairs: what `read_pairs` returned.
        columns: those of the file that are read, by role.
        name: the file's.
    """
    if pairs and "pair" not in columns:
        raise DataError(
            f"{name}: the model was trained on pairs of texts and no column of the second text was "
            "found: name it, data.pair=COLUMN"
        )
    if pairs is False and "pair" in columns:
        raise DataError(
            f"{name}: the model was trained on single texts and '{columns['pair']}' is a second "
            "text: name the text alone, data.text=COLUMN"
        )


def separator(summary: Mapping[str, Any]) -> str | None:
    """Return what separated labels in a string in a run's data, by its summary."""
    found = summary["task"].get("separator") or _section(summary, "data").get("label_separator")
    return str(found) if found else None


def completed(
    given: Mapping[str, Any],
    named: Mapping[str, Any],
    columns: Collection[str],
    roles: Collection[str] = ROLES,
) -> dict[str, Any]:
    """Return the columns that are given, and those that a run read if a file has them.

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
