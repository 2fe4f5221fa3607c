"""Mistakes of the end task on dev: confusions of labels, and the worst rows."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tartan.report.text import cut

GIVEN = "given \\ predicted"
"""Corner of a table of confusions: its rows and columns."""
PAIR = ("given", "predicted", "count")
"""The columns where confusions are listed in pairs."""
WIDEST = 200
"""Most labels of a matrix of confusions: it has the square of their number of cells."""
PredictionLine = Mapping[str, Any]
"""A line of predictions-dev.jsonl."""


@dataclass(frozen=True)
class Mistake:
    """A row with a wrong prediction.

    Attributes:
        row: its number, counted from 0.
        text: its text, shortened.
        given: its label, or the wrong words with theirs.
        predicted: the prediction.
        size: rank: a probability, the number of wrong words, or a distance.
    """

    row: int
    text: str
    given: str
    predicted: str
    size: float


@dataclass(frozen=True)
class Confusion:
    """How often each label is predicted where each is given.

    Attributes:
        labels: the names.
        occurring: how often each pair of a given and a predicted label occurs, of those that do.
    """

    labels: tuple[str, ...]
    occurring: Mapping[tuple[str, str], int]

    @cached_property
    def matrix(self) -> tuple[tuple[int, ...], ...] | None:
        """A row for each given label, a column for each predicted one; None for too many labels."""
        if len(self.labels) > WIDEST:
            return None
        counts, names = self.occurring, self.labels
        return tuple(tuple(counts.get((row, name), 0) for name in names) for row in names)

    def pairs(self) -> list[tuple[str, str, int]]:
        """Return given label, predicted label and count, the most frequent first."""
        place = {label: number for number, label in enumerate(self.labels)}
        found = sorted(self.occurring, key=lambda pair: [place[label] for label in pair])
        found.sort(key=lambda pair: -self.occurring[pair])
        return [(*pair, self.occurring[pair]) for pair in found]

    def most(self, number: int) -> list[tuple[str, str, int]]:
        """Return the most frequent confusions: given label, predicted label, count."""
        return [pair for pair in self.pairs() if pair[0] != pair[1]][:number]

    def records(self) -> list[dict[str, Any]]:
        """Return the rows of confusion.csv: the matrix, or the pairs where it is too large."""
        if (rows := self.matrix) is None:
            return [dict(zip(PAIR, pair, strict=True)) for pair in self.pairs()]
        return [
            {GIVEN: label, **dict(zip(self.labels, row, strict=True))}
            for label, row in zip(self.labels, rows, strict=True)
        ]


def confusion(predictions: Sequence[PredictionLine], labels: Sequence[str]) -> Confusion:
    """Count the confusions of classes, or of words' tags."""
    counts = Counter(pair for prediction in predictions for pair in _pairs(prediction))
    return Confusion(tuple(labels), dict(counts))


def shown(predictions: Sequence[PredictionLine]) -> list[PredictionLine]:
    """Return the predictions whose texts were kept."""
    return [prediction for prediction in predictions if {"text", "words"} & prediction.keys()]


def worst(predictions: Sequence[PredictionLine], number: int) -> list[Mistake]:
    """Return the most confident mistakes; for words the rows with most, for numbers the largest.

    Args:
        predictions: of dev, never of test: model choices may depend on what is looked at.
        number: how many at most.
    """
    mistakes = [mistake for mistake in map(_mistake, shown(predictions)) if mistake.size > 0]
    return sorted(mistakes, key=lambda mistake: (-mistake.size, mistake.row))[:number]


def _pairs(prediction: PredictionLine) -> Iterator[tuple[str, str]]:
    """Yield given and predicted labels."""
    given, predicted = prediction["label"], prediction["predicted"]
    if isinstance(given, str):
        yield given, predicted
    else:
        yield from zip(given, predicted, strict=True)


def _mistake(prediction: PredictionLine) -> Mistake:
    """Return a row as a mistake, of size 0 if the prediction is correct."""
    given, predicted, row = prediction["label"], prediction["predicted"], prediction["row"]
    if isinstance(given, list) and "words" not in prediction:
        one, other = (_listed(labels) or "none" for labels in (given, predicted))
        return Mistake(row, _text(prediction), one, other, len(set(given) ^ set(predicted)))
    if isinstance(given, list):
        words = zip(prediction["words"], given, predicted, strict=True)
        wrong = [word for word in words if word[1] != word[2]]
        return Mistake(
            row,
            cut(" ".join(prediction["words"])),
            _listed(f"{word}: {tag}" for word, tag, _ in wrong),
            _listed(f"{word}: {tag}" for word, _, tag in wrong),
            len(wrong),
        )
    text = _text(prediction)
    if isinstance(given, str):
        size = prediction["probability"] if given != predicted else 0.0
        return Mistake(row, text, given, predicted, size)
    return Mistake(row, text, f"{given:.7g}", f"{predicted:.7g}", abs(given - predicted))


def _text(prediction: PredictionLine) -> str:
    """Return the text of a row, or both texts of a pair, shortened."""
    return cut(" / ".join(prediction[key] for key in ("text", "text_pair") if key in prediction))


def _listed(parts: Iterable[str]) -> str:
    return cut(", ".join(parts), 160)
