"""Predict a file: read, predict and write row by row."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import tee
from pathlib import Path
from typing import Any

from tartan.batch import LabelKind
from tartan.checks import check_ranges
from tartan.data.notices import lost_notices
from tartan.data.rows import Row
from tartan.errors import DataError
from tartan.inference.inputs import Input
from tartan.inference.model import model_directory
from tartan.inference.prediction_files import (
    check_target,
    encoding_for,
    flat,
    own_columns,
    predictions_file,
    separator_for,
)
from tartan.inference.predictor import Predictor
from tartan.inference.text_files import TextFile


@dataclass
class TextColumns:
    """Columns of a file of texts.

    Attributes:
        text: the column of the text; None to look for a usual name.
        pair: the column of the second text of a pair; None to look for a usual name.
        tokens: where words are tagged, the column of each row's list of words; None to look for a
            usual name.
    """

    text: str | None = None
    pair: str | None = None
    tokens: str | None = None


@dataclass
class PredictOptions:
    """How a file is predicted.

    Attributes:
        data: its columns.
        batch_size: rows that the model reads at once.
        device: `auto`, or a torch device.
    """

    data: TextColumns = field(default_factory=TextColumns)
    batch_size: int = 64
    device: str = "auto"

    def __post_init__(self) -> None:
        """ConfigError where a number has no meaning."""
        check_ranges("", self, batch_size="[1, inf)")


@dataclass(frozen=True)
class Predicted:
    """What was done.

    Attributes:
        rows: how many were predicted.
        columns: the column of each role that was read.
        notices: what the user should know, a line each.
    """

    rows: int
    columns: dict[str, str]
    notices: list[str]


def predict_file(run: Path, source: Path, target: Path, options: PredictOptions) -> Predicted:
    """Predict every row of a file, and write the rows with all probabilities.

    Memory does not depend on the number of rows: they are read twice, so that one that cannot be
    used is refused before the model computes. The file is written under another name, and has its
    own when it is complete; a file that is there is never replaced.

    Args:
        run: a run's directory, or a model's.
        source: a file of any format that `data=files` reads.
        target: .csv, .tsv or .jsonl, which does not exist yet.
        options: columns, batch size and device.

    Raises:
        TartanError: the run, the file or a row cannot be used, or the target cannot be written.
    """
    check_target(target)
    place = model_directory(run)
    if not source.exists():
        raise DataError(f"{source}: no such file: give a file of texts")
    predictor = Predictor.load(place, options.device)
    kind = predictor.kind
    tagged = kind is LabelKind.TAGS
    texts = TextFile.open(source, vars(options.data), kind, place.columns, place.pairs)
    suffix = target.suffix.lower()
    own = own_columns(suffix, predictor.labels, kind)
    columns = texts.table.columns
    _check_free(columns, own, source.name)
    if not _checked(texts.rows(tagged), own, source.name):
        raise DataError(f"{source}: no rows: give at least one text")
    written = 0
    ahead, read = tee(texts.rows(tagged))
    predictions = predictor.predict((row for _, row in ahead), options.batch_size)
    form = separator_for(target, source), encoding_for(target, source)
    with predictions_file(target, columns, own, *form) as write:
        for (row, _), prediction in zip(read, predictions, strict=True):
            write({**row.values, **flat(prediction, own)})
            written += 1
    notices = lost_notices(source.name, predictor.counts, predictor.max_length, "not predicted")
    return Predicted(written, dict(texts.columns), notices)


def _checked(rows: Iterator[tuple[Row, Input]], own: list[str], name: str) -> int:
    """Return the number of rows. DataError at the first that cannot be used."""
    count = 0
    for row, _ in rows:
        _check_free(row.values, own, row.line or name)
        count += 1
    return count


def _check_free(columns: Any, own: list[str], place: str) -> None:
    """DataError where a column of predictions has the name of one that was read."""
    for name in own:
        if name in columns:
            raise DataError(
                f"{place}: the column '{name}' has the name of one that is added: rename it"
            )
