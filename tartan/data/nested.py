"""A random order of rows of which every beginning is a stratified sample."""

from collections import Counter
from collections.abc import Collection, Hashable, Sequence

import torch

from tartan.seeding import generator


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
