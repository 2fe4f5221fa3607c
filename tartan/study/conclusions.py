"""One plain sentence for each pair of arms: which is better, or how many seeds would show it."""

import math
from collections.abc import Mapping, Sequence

from tartan.sizes import counted
from tartan.study.power import MOST, seeds_for
from tartan.study.results import Pair
from tartan.study.statistics import seeds_needed


def conclusions(pairs: Sequence[Pair], labels: Mapping[str, str], level: float) -> tuple[str, ...]:
    """Return a sentence for each pair, in their order.

    Args:
        pairs: all that are compared.
        labels: by arm, its name in tables.
        level: below which a corrected p is called significant.
    """
    return tuple(
        _conclusion(pair, labels[pair.first], labels[pair.second], level, len(pairs))
        for pair in pairs
    )


def _conclusion(pair: Pair, first: str, second: str, level: float, comparisons: int) -> str:
    """Return the sentence of one pair."""
    found, seeds = pair.difference, len(pair.seeds)
    if found is None or found.std is None or pair.corrected is None:
        needed = seeds_needed(level, comparisons)
        return (
            f"No difference between {first} and {second} can be shown with the "
            f"{counted(seeds, 'seed')} that both finished; at least {needed} are needed."
        )
    if pair.corrected < level:
        better, worse = (first, second) if found.mean > 0 else (second, first)
        return (
            f"{better} is better than {worse} by {abs(found.mean):.4f} "
            f"({counted(seeds, 'seed')}, corrected p {pair.corrected:.4f})."
        )
    if not any(pair.differences):
        return f"{first} and {second} have equal scores with {counted(seeds, 'seed')}."
    return (
        f"No difference between {first} and {second} can be shown with {counted(seeds, 'seed')}. "
        f"To show one of {found.mean:+.4f}, as measured, {_needed(pair, level, comparisons)} would "
        "be needed."
    )


def _needed(pair: Pair, level: float, comparisons: int) -> str:
    """Return how many seeds would show the difference that was measured: `about 9`."""
    needed = seeds_for(math.inf if pair.effect is None else pair.effect, level, comparisons)
    return f"more than {MOST}" if needed is None else f"about {max(needed, len(pair.seeds) + 1)}"
