"""Intervals of metrics by resampling rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Score = Callable[[Sequence[int]], Mapping[str, float]]
"""From rows, by their numbers, to metrics by name."""


@dataclass(frozen=True)
class Interval:
    """A metric and its interval.

    Attributes:
        value: on all rows.
        low: the lower bound.
        high: the upper bound.
    """

    value: float
    low: float
    high: float


def intervals(
    score: Score, rows: int, resamples: int = 1000, confidence: float = 0.95
) -> dict[str, Interval]:
    """Return each metric with its percentile bootstrap interval (Efron, 1979).

    It says how the metric of this one model varies with the rows that happened to be labelled, not
    how it varies with the seed. The same rows give the same interval.

    Args:
        score: computes the metrics of some rows, which may occur several times.
        rows: how many there are.
        resamples: how many samples of as many rows are drawn with replacement.
        confidence: of the interval, 0 to 1.
    """
    rng = np.random.default_rng(0)
    whole = score(range(rows))
    samples = [score(rng.integers(rows, size=rows).tolist()) for _ in range(resamples)]
    tail = (1 - confidence) / 2
    found = {}
    for name, value in whole.items():
        low, high = np.quantile([sample[name] for sample in samples], (tail, 1 - tail))
        found[name] = Interval(value, float(low), float(high))
    return found
