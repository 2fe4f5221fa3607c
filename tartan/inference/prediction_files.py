"""Files of predictions: written row by row, complete or not at all, never over another file."""

import csv
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TextIO

from tartan.batch import LabelKind
from tartan.data.csv_dialect import find_dialect
from tartan.data.csv_file import Unnamed
from tartan.data.formats import ending
from tartan.data.lines import has_mark
from tartan.errors import DataError, StorageError, suggest
from tartan.files import create, publish, writing

Write = Callable[[Mapping[str, Any]], None]
"""Writes one row."""
OWN = ("predicted", "probability", "probabilities")
"""The columns of predictions."""
FORMATS = (".csv", ".tsv", ".jsonl")
HALVES = "backslashreplace"
"""Half of a surrogate pair, which only JSON can hold, is written as JSON escapes it."""


def check_target(path: Path) -> None:
    """Make sure that a file can be written.

    Raises:
        StorageError: it is there already, or its directory is not.
        DataError: its name ends in no format that can be written.
    """
    if path.suffix.lower() not in FORMATS:
        hint = suggest(path.suffix.lower(), FORMATS)
        raise DataError(f"{path}: predictions are written as {', '.join(FORMATS)}: {hint}")
    if os.path.lexists(path):
        raise StorageError(f"{path} is there already and is not overwritten: give another name")
    if not path.parent.is_dir():
        raise StorageError(f"{path.parent} is not a directory: create it, or give another name")


def separator_for(path: Path, source: Path) -> str:
    """Return what separates the cells of a file of predictions.

    A .csv file has the separator of the .csv file that was read; commas, if another format was.
    """
    if path.suffix.lower() == ".tsv":
        return "\t"
    return find_dialect(source).separator if ending(source) == ".csv" else ","


def encoding_for(path: Path, source: Path) -> str:
    """Return the encoding of a file of predictions.

    A table has the byte order mark of the table that was read: by it, Excel knows UTF-8.
    """
    tables = {ending(path), ending(source)} <= {".csv", ".tsv"}
    return "utf-8-sig" if tables and has_mark(source) else "utf-8"


@contextmanager
def predictions_file(
    path: Path,
    columns: Sequence[str],
    own: Sequence[str],
    separator: str = ",",
    encoding: str = "utf-8",
) -> Iterator[Write]:
    """Write rows in a block; the file has its name when all of them are written.

    Args:
        path: its suffix says the format; see `check_target`.
        columns: of the rows that were read.
        own: the columns of predictions that follow them.
        separator: between cells.
        encoding: of the text.

    Raises:
        StorageError: the file cannot be written, or another one has its name by now. The
            predictions are then kept beside it.
    """
    beside = path.with_name(f".{path.name}.partial-{os.getpid()}")
    with writing(path):
        raw = create(beside)
    try:
        with (
            os.fdopen(os.dup(raw.fileno()), "w", -1, encoding, HALVES, newline="") as file,
            writing(path),
        ):
            yield _writer(path.suffix.lower(), file, [*columns, *own], separator)
            file.flush()
            os.fsync(file.fileno())
        with writing(path):
            _publish(beside, path)
    finally:
        raw.close()
        beside.unlink(missing_ok=True)


def _publish(beside: Path, path: Path) -> None:
    """Give complete predictions their name, or one beside a file that has it by now.

    Raises:
        StorageError: they have the other name.
    """
    for number in count(1):
        name = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
        try:
            publish(beside, name)
        except FileExistsError:
            continue
        if name != path:
            raise StorageError(
                f"{path} was made by another program meanwhile and is not overwritten: the "
                f"predictions are complete in {name}"
            )
        return


def _writer(suffix: str, file: TextIO, columns: Sequence[str], separator: str) -> Write:
    """Return what writes rows in a format."""
    if suffix == ".jsonl":
        return lambda row: print(_json(row), file=file)
    rows = csv.DictWriter(file, columns, restval="", delimiter=separator)
    rows.writer.writerow(["" if isinstance(name, Unnamed) else name for name in columns])

    def write(row: Mapping[str, Any]) -> None:
        rows.writerow({name: _cell(value) for name, value in row.items()})

    return write


def _cell(value: Any) -> Any:
    """Return a value as a cell: lists and maps as JSON."""
    return _json(value) if isinstance(value, list | dict) else value


def _json(value: Any) -> str:
    """Return a value as JSON: what JSON has no type for as a string, what is not finite as null."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=str)


def _finite(value: Any) -> Any:
    """Return a value with None for each number that is not finite."""
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def own_columns(suffix: str, labels: Sequence[str], kind: LabelKind) -> list[str]:
    """Return the columns that predictions add to those of a file.

    Args:
        suffix: of the file that is written.
        labels: the name of each output.
        kind: the kind of labels.

    >>> own_columns(".csv", ["cold", "warm"], LabelKind.CLASS)
    ['predicted', 'probability', 'probability_cold', 'probability_warm']
    """
    if kind is LabelKind.NUMBER:
        return ["predicted"]
    first = ["predicted"] if kind is LabelKind.SETS else ["predicted", "probability"]
    if suffix == ".jsonl" or kind is LabelKind.TAGS:
        return [*first, "probabilities"]
    return [*first, *(f"probability_{label}" for label in labels)]


def flat(prediction: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """Return a prediction as values of `own_columns`."""
    by_label = prediction.get("probabilities")
    if "probabilities" in columns or by_label is None:
        return {name: prediction[name] for name in columns}
    cells = {f"probability_{label}": value for label, value in by_label.items()}
    own = {name: prediction[name] for name in columns if name in OWN}
    return {**own, **cells}
