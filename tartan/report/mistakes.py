"""Mistakes of the end task on dev: confusions of labels, and the worst rows."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tartan.report.text import cut

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
        counts: a row for each given label, a column for each predicted one.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    def most(self, number: int) -> list[tuple[str, str, int]]:
        """Return the most frequent confusions: given label, predicted label, count."""
        pairs = [
            (given, predicted, self.counts[row][column])
            for row, given in enumerate(self.labels)
            for column, predicted in enumerate(self.labels)
            if row != column and self.counts[row][column]
        ]
        return sorted(pairs, key=lambda pair: -pair[2])[:number]


def confusion(predictions: Sequence[PredictionLine], labels: Sequence[str]) -> Confusion:
    """Count the confusions of classes, or of words' tags."""
    counts = Counter(pair for prediction in predictions for pair in _pairs(prediction))
    rows = tuple(tuple(counts[given, predicted] for predicted in labels) for given in labels)
    return Confusion(tuple(labels), rows)


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
