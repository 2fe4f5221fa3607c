"""A subset of the training labels: what a run would score with fewer of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from datasets import Dataset

from tartan.batch import LabelKind
from tartan.data.digests import Conflicts, row_digest
from tartan.data.nested import cover, nested_order, strata_of_labels
from tartan.data.task import Subset, Task, count_labels, labels_of, leaked, row_texts
from tartan.errors import ConfigError


@dataclass
class LabelledOptions:
    """Options of every data source: how many labels are used.

    Attributes:
        labelled: number of training rows that keep their labels; the texts of the others stay in
            the task corpus. null keeps all labels. The subset is stratified, and the rows of a
            smaller one are among those of a larger one.
        labelled_seed: which subset is taken. `${seed}` takes another one for each seed of a run.
    """

    labelled: int | None = None
    labelled_seed: int = 0


def keep_labels(task: Task, options: LabelledOptions) -> Task:
    """Return a task whose `train` has only as many rows as options say; corpora are unchanged.

    Args:
        task: any task. The hash of its train stays that of the rows as they were read.
        options: how many rows are kept, and which.

    Raises:
        ConfigError: there are not so many rows, or too few for every label, or for two different
            numbers, to be among those that are kept.
    """
    count, rows = options.labelled, task.train
    if count is None:
        return task
    if not 1 <= count <= len(rows):
        raise ConfigError(
            f"data.labelled={count}: {task.name} has {len(rows)} labelled training rows: give "
            f"between 1 and {len(rows)}, or null for all of them"
        )
    labels = list(labels_of(rows))
    strata = strata_of_labels(labels, task.kind)
    each = None if task.kind is LabelKind.NUMBER else label_sets(labels)
    order = nested_order(strata, options.labelled_seed, labels=each)
    if each is None:
        least = 1 + next(n for n, row in enumerate(order) if labels[row] != labels[order[0]])
    else:
        least = len(cover(each, order))
    if count < least:
        what = "two different numbers" if each is None else "every label"
        raise ConfigError(
            f"data.labelled={count}: at least {least} rows are needed for {what} of "
            f"{task.name} to occur: give {least} or more"
        )
    train = rows.select(sorted(order[:count]))
    held_out = {row_digest(texts) for split in (task.dev, task.test) for texts in row_texts(split)}
    kept = replace(
        task,
        train=train,
        leaks={**task.leaks, "train": leaked(train, held_out)},
        conflicts=_conflicts(train),
    )
    counts = {} if task.kind is LabelKind.NUMBER else count_labels(kept, train)
    subset = Subset(len(rows), options.labelled_seed, counts)
    return replace(kept, subset=subset)


def label_sets(labels: Sequence[Any]) -> list[frozenset[Any]]:
    """Return the labels of each row as a set: one of a class, any number of sets and tags."""
    return [
        frozenset(each) if isinstance(each, list | tuple) else frozenset([each]) for each in labels
    ]


def _conflicts(rows: Dataset) -> int:
    """Return how many rows have the texts of another row, and another label."""
    conflicts = Conflicts()
    for texts, label in zip(row_texts(rows), labels_of(rows), strict=True):
        conflicts.add(texts, label)
    return conflicts.count()
