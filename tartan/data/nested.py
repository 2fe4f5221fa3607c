"""A random order of rows of which every beginning is a stratified sample."""

from collections import Counter
from collections.abc import Sequence

import torch

from tartan.seeding import generator


def nested_order(
    strata: Sequence[int], seed: int, purpose: str = "labelled", *, random_start: bool = False
) -> list[int]:
    """Return an order of rows, every beginning of which is a stratified sample of them.

    Within a stratum the order is random. One row of each stratum comes first; after these, the
    share of a stratum is that of Sainte-Lague's divisors: the i-th row (from 0) of `n` comes at
    `(i + 1/2) / n` of the order.

    Args:
        strata: [rows], the stratum of each.
        seed: of the random order.
        purpose: orders for different purposes are independent.
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
    seen: Counter[int] = Counter()
    keys: list[tuple[float, int]] = []
    for row in permutation:
        stratum = strata[row]
        place = seen[stratum]
        shift = start[stratum] if random_start else 0.5
        keys.append(((place + shift) / sizes[stratum] if place else 0.0, row))
        seen[stratum] += 1
    return [row for _, row in sorted(keys, key=lambda key: key[0])]
