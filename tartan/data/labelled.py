"""A subset of the training labels: what a run would score with fewer of them."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch
from datasets import Dataset

from tartan.batch import LabelKind
from tartan.data.arrow import batches_of
from tartan.data.digests import conflicts, digest, row_digest, short
from tartan.data.notices import count_labels
from tartan.data.task import Subset, Task, leaked, row_texts
from tartan.errors import ConfigError
from tartan.seeding import generator

BINS = 10
"""Numbers are stratified by as many groups of equal size, in the order of the numbers."""


@dataclass
class LabelledOptions:
    """Options of every data source: how many labels are used.

    Attributes:
        labelled: number of training rows that keep their labels; the texts of the others stay in
            the task corpus. None keeps all labels. The subset is stratified, and the rows of a
            smaller one are among those of a larger one.
        labelled_seed: which subset is taken. `${seed}` takes another one for each seed of a run.
    """

    labelled: int | None = None
    labelled_seed: int = 0


def keep_labels(task: Task, options: LabelledOptions, where: str = "data") -> Task:
    """Return a task whose `train` has only as many rows as options say; corpora are unchanged.

    Args:
        task: any task. The hash of its train stays that of the rows as they were read.
        options: how many rows are kept, and which.
        where: the section of the options, for error lines.

    Raises:
        ConfigError: there are not so many rows, or more labels than rows are to be kept.
    """
    count, rows = options.labelled, task.train
    if count is None:
        return task
    if not 1 <= count <= len(rows):
        raise ConfigError(
            f"{where}.labelled={count}: {task.name} has {len(rows)} labelled training rows: give "
            f"between 1 and {len(rows)}, or null for all of them"
        )
    strata = strata_of(rows, task.kind)
    least = 1 if task.kind is LabelKind.NUMBER else len(set(strata))
    if count < least:
        raise ConfigError(
            f"{where}.labelled={count}: at least {least} rows are needed for every label of "
            f"{task.name} to occur: give {least} or more"
        )
    train = rows.select(sorted(nested_order(strata, options.labelled_seed)[:count]))
    held_out = {row_digest(texts) for split in (task.dev, task.test) for texts in row_texts(split)}
    kept = replace(
        task,
        train=train,
        leaks={**task.leaks, "train": leaked(train, held_out)},
        conflicts=_conflicts(train),
    )
    labels = {} if task.kind is LabelKind.NUMBER else count_labels(kept)
    subset = Subset(len(rows), options.labelled_seed, labels)
    return replace(kept, subset=subset)


def nested_order(strata: Sequence[int], seed: int) -> list[int]:
    """Return an order of rows, every beginning of which is a stratified sample of them.

    Within a stratum the order is random. One row of each stratum comes first; after these, the
    share of a stratum is that of Sainte-Lague's divisors: the i-th row (from 0) of `n` comes at
    `(i + 1/2) / n` of the order.

    Args:
        strata: [rows], the stratum of each.
        seed: of the random order.

    >>> strata = [0, 0, 0, 0, 0, 0, 1, 1]
    >>> sorted(strata[row] for row in nested_order(strata, seed=0)[:4])
    [0, 0, 0, 1]
    """
    sizes = Counter(strata)
    seen: Counter[int] = Counter()
    keys: list[tuple[float, int]] = []
    for row in torch.randperm(len(strata), generator=generator(seed, "labelled")).tolist():
        stratum = strata[row]
        place = seen[stratum]
        keys.append(((place + 0.5) / sizes[stratum] if place else 0.0, row))
        seen[stratum] += 1
    return [row for _, row in sorted(keys, key=lambda key: key[0])]


def strata_of(rows: Dataset, kind: LabelKind) -> list[int]:
    """Return the stratum of each row.

    Args:
        rows: column `label`.
        kind: the kind of labels. A class is a stratum; of several labels in a row, the one that
            the fewest rows have; numbers form `BINS` groups.
    """
    labels = list(_labels(rows))
    if kind is LabelKind.CLASS:
        return labels
    if kind is LabelKind.NUMBER:
        return _bins(labels)
    return _rarest([sorted(set(each)) for each in labels])


def _bins(numbers: Sequence[float]) -> list[int]:
    """Return the group of each number."""
    order = torch.tensor(numbers, dtype=torch.float64).argsort(stable=True)
    groups = torch.empty(len(numbers), dtype=torch.int64)
    groups[order] = torch.arange(len(numbers)) * BINS // len(numbers)
    return groups.tolist()


def _rarest(rows: Sequence[Sequence[int]]) -> list[int]:
    """Return the label of each row that the fewest rows have; -1 for a row without one."""
    counts = Counter(chain.from_iterable(rows))
    return [min(labels, key=lambda label: (counts[label], label), default=-1) for labels in rows]


def _conflicts(rows: Dataset) -> int:
    """Return how many rows have the texts of another row, and another label."""
    texts, labelled = array("q"), array("q")
    for found, label in zip(map(row_digest, row_texts(rows)), _labels(rows), strict=True):
        texts.append(short(found))
        labelled.append(short(digest(f"{found!r} {label!r}")))
    return conflicts(texts, labelled)


def _labels(rows: Dataset) -> Iterator[Any]:
    """Yield the label of each row."""
    for batch in batches_of(rows.select_columns(["label"])):
        yield from batch["label"]
