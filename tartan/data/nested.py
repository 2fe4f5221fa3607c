"""Strata of rows, and a random order of them of which every beginning is a stratified sample."""

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from itertools import chain
from typing import Any

import torch

from tartan.batch import LabelKind
from tartan.seeding import generator

BINS = 10
"""Numbers are stratified by as many groups of equal size, in the order of the numbers."""


def nested_order(
    strata: Sequence[int],
    seed: int,
    purpose: str = "labelled",
    *,
    labels: Sequence[Collection[Hashable]] | None = None,
    random_start: bool = False,
) -> list[int]:
    """Return an order of rows, every beginning of which is a stratified sample of them.

    Within a stratum the order is random. Rows that together have every label come first; after
    these, the share of a stratum is that of Sainte-Lague's divisors: the i-th row (from 0) of `n`
    comes at `(i + 1/2) / n` of the order.

    Args:
        strata: [rows], the stratum of each.
        seed: of the random order.
        purpose: orders for different purposes are independent.
        labels: [rows], the labels of each; by default its stratum is its only label.
        random_start: whether a number between 0 and 1, one for each stratum, takes the place of
            1/2. Then the middle and the end of the order are unbiased samples of rare strata.

    >>> strata = [0, 0, 0, 0, 0, 0, 1, 1]
    >>> sorted(strata[row] for row in nested_order(strata, seed=0)[:4])
    [0, 0, 0, 1]
    """
    rng = generator(seed, purpose)
    permutation = torch.randperm(len(strata), generator=rng).tolist()
    sizes = Counter(strata)
    starts = torch.rand(len(sizes), generator=rng, dtype=torch.float64).tolist()
    start = dict(zip(sorted(sizes), starts, strict=True))
    first = set(cover(labels or [(stratum,) for stratum in strata], permutation))
    seen = Counter(strata[row] for row in first)
    keys: list[tuple[float, int]] = []
    for row in permutation:
        stratum, shift = strata[row], start[strata[row]] if random_start else 0.5
        if row in first:
            keys.append((-1.0, row))
        else:
            keys.append(((seen[stratum] + shift) / sizes[stratum], row))
            seen[stratum] += 1
    return [row for _, row in sorted(keys, key=lambda key: key[0])]


def cover(labels: Sequence[Collection[Hashable]], order: Sequence[int]) -> list[int]:
    """Return rows that together have every label: for each, rare ones first, the first of an order.

    Args:
        labels: [rows], the labels of each.
        order: of the rows.

    >>> cover([{"a"}, {"a", "b"}, {"a"}, {"c"}], [0, 1, 2, 3])
    [1, 3]
    """
    counts = Counter(label for each in labels for label in each)
    first: dict[Hashable, int] = {}
    for row in order:
        for label in labels[row]:
            first.setdefault(label, row)
    rows: list[int] = []
    covered: set[Hashable] = set()
    for label in sorted(first, key=lambda label: (counts[label], first[label])):
        if label not in covered:
            rows.append(first[label])
            covered.update(labels[first[label]])
    return rows


def strata_of_labels(labels: Sequence[Any], kind: LabelKind) -> list[int]:
    """Return the stratum of each row.

    Args:
        labels: of each row: ids or names.
        kind: the kind of labels. A class is a stratum; of several labels in a row, the one that
            the fewest rows have; numbers form `BINS` groups.
    """
    if kind is LabelKind.NUMBER:
        return _bins(labels)
    if kind is LabelKind.CLASS:
        found = list(labels)
    else:
        found = _rarest([sorted(set(each)) for each in labels])
    codes = {label: code for code, label in enumerate(dict.fromkeys(found))}
    return [codes[label] for label in found]


def _bins(numbers: Sequence[float]) -> list[int]:
    """Return the group of each number."""
    order = torch.tensor(numbers, dtype=torch.float64).argsort(stable=True)
    groups = torch.empty(len(numbers), dtype=torch.int64)
    groups[order] = torch.arange(len(numbers)) * BINS // len(numbers)
    return groups.tolist()


def _rarest(rows: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the label of each row that the fewest rows have; None for a row without one."""
    counts = Counter(chain.from_iterable(rows))
    return [min(labels, key=lambda label: (counts[label], label), default=None) for labels in rows]
