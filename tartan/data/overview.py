"""What a run would see of a task: rows, labels, lengths, duplicates, leaks."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from datasets import Dataset

from tartan.batch import LabelKind
from tartan.data.digests import row_digest, short
from tartan.data.task import Task, count_labels, labels_of, row_texts
from tartan.errors import shown
from tartan.spelling import spelled

MAJORITY = 0.9
"""A class with at least this share of train is reported."""


@dataclass(frozen=True)
class Overview:
    """One split.

    Attributes:
        rows: their number.
        repeated: rows whose texts are those of an earlier row of the split.
        words: of a row's texts, separated by white space: the median, the 95th percentile and the
            largest number.
        labels: the number of rows (of tags, of words) with each label; of numbers, nothing.
        numbers: of numbers, the smallest, the median and the largest; nothing otherwise.
    """

    rows: int
    repeated: int
    words: tuple[int, int, int]
    labels: Mapping[str, int]
    numbers: tuple[float, float, float] | None


def overview(task: Task) -> dict[str, Overview]:
    """Return what each split holds that has rows."""
    return {split: _of_split(rows, task) for split, rows in task.splits.items() if len(rows)}


def balance_notices(task: Task, found: Mapping[str, Overview]) -> list[str]:
    """Return a sentence where one class makes up nearly all of train."""
    train = found["train"]
    if task.kind is not LabelKind.CLASS:
        return []
    label, count = max(train.labels.items(), key=lambda item: item[1])
    if count < MAJORITY * train.rows:
        return []
    return [
        f"'{shown(spelled(label))}' is the label of {count / train.rows:.0%} of train: a model may "
        "predict it always; primary.class_weights=balanced counts classes equally."
    ]


def _of_split(rows: Dataset, task: Task) -> Overview:
    """Return what one split holds."""
    digests, words = array("q"), array("q")
    for texts in row_texts(rows):
        digests.append(short(row_digest(texts)))
        words.append(sum(len(text.split()) for text in texts))
    if task.kind is LabelKind.NUMBER:
        numbers = sorted(labels_of(rows))
        ends = (numbers[0], median(numbers), numbers[-1])
        return Overview(len(rows), _repeated(digests), _lengths(words), {}, ends)
    counts = count_labels(task, rows)
    return Overview(len(rows), _repeated(digests), _lengths(words), counts, None)


def _repeated(digests: Sequence[int]) -> int:
    """Return how many digests occurred before."""
    return len(digests) - len(set(digests))


def _lengths(words: Sequence[int]) -> tuple[int, int, int]:
    """Return the median, the larger of the middle two, the 95th percentile and the largest."""
    ranked = sorted(words)
    return ranked[len(ranked) // 2], ranked[int(0.95 * (len(ranked) - 1))], ranked[-1]
