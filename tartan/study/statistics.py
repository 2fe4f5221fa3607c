"""Statistics of arms on the same seeds: estimates, paired tests, corrections. Pure functions."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from tartan.errors import ConfigError
from tartan.sizes import counted
from tartan.study.results import Estimate

RESAMPLES = 9999
EXACT_UP_TO = 14
"""Up to this many pairs, all 2**n exchanges are computed; with more, a random sample."""


def estimate(values: Sequence[float], confidence: float = 0.95) -> Estimate | None:
    """Return mean, standard deviation (n - 1) and bootstrap interval; None without values.

    The interval is bias-corrected and accelerated (Efron, 1987; `scipy.stats.bootstrap`); it does
    not depend on the values' order. Of two values or a sample whose correction is undefined it is
    the percentile interval; of values that are all alike, their value.

    Args:
        values: of independent runs.
        confidence: of the interval, 0 to 1.
    """
    if not values:
        return None
    sample = np.sort(np.asarray(values, dtype=float))
    mean = float(sample.mean())
    if len(sample) == 1:
        return Estimate(1, mean, None, None, None)
    low, high = _interval(sample, confidence)
    return Estimate(len(sample), mean, float(sample.std(ddof=1)), low, high)


def effect(found: Estimate | None) -> float | None:
    """Return a mean divided by the standard deviation; None if the deviation is 0."""
    if found is None or found.std is None or found.std <= 1e-12 * max(1.0, abs(found.mean)):
        return None
    return found.mean / found.std


def paired_test(differences: Sequence[float]) -> float | None:
    """Return the two-sided p of a paired permutation test of the mean; None below two pairs.

    If the arms of a pair are alike, their difference is as likely as its opposite: the p is the
    share of all exchanges within pairs (`scipy.stats.permutation_test`) whose mean is as far from
    0. It is exact for up to `EXACT_UP_TO` pairs, and never below `least_p`.

    >>> paired_test([0.3, -0.1, -0.2])  # 0.3 - 0.1 - 0.2 is 0, though not in binary numbers
    1.0
    """
    sample = np.sort(np.asarray(differences, dtype=float))
    if len(sample) < 2:
        return None
    sample /= np.abs(sample).max() or 1.0
    found = stats.permutation_test(
        (sample, np.zeros_like(sample)),
        # rounded: means that differ by their last bits are ties
        lambda first, second, axis: np.mean(first - second, axis=axis).round(9),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**EXACT_UP_TO,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected by Holm's (1979) step-down method, in their order."""
    count = len(values)
    corrected = [1.0] * count
    worst = 0.0
    for rank, index in enumerate(sorted(range(count), key=values.__getitem__)):
        worst = max(worst, min(1.0, (count - rank) * values[index]))
        corrected[index] = worst
    return corrected


def least_p(pairs: int, comparisons: int) -> float:
    """Return the smallest corrected p that `paired_test` can give.

    Args:
        pairs: seeds that both arms have.
        comparisons: pairs of arms that are corrected for.
    """
    if not pairs:
        return 1.0
    # Of a sample of exchanges, scipy counts the one that was measured besides.
    exchanges: int = 2**pairs if pairs <= EXACT_UP_TO else 2**EXACT_UP_TO + 1
    return min(1.0, comparisons * 2 / exchanges)


def seeds_needed(level: float, comparisons: int) -> int:
    """Return the fewest seeds with which a corrected p can be below a level.

    Raises:
        ConfigError: no number of seeds is enough; beyond `EXACT_UP_TO`, more give no smaller p.
    """
    for seeds in range(2, EXACT_UP_TO + 1):
        if least_p(seeds, comparisons) < level:
            return seeds
    raise ConfigError(
        f"study.level={level:g}: corrected for {counted(comparisons, 'comparison')}, no p can be "
        f"below {least_p(EXACT_UP_TO, comparisons):.2g}: give a higher level, or fewer arms"
    )


def _interval(sample: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return the bootstrap interval of the mean of at least two sorted values, [n]."""
    if sample[0] == sample[-1]:
        return float(sample[0]), float(sample[0])
    for method in ("BCa", "percentile") if len(sample) > 2 else ("percentile",):
        found = stats.bootstrap(
            (sample,),
            np.mean,
            confidence_level=confidence,
            n_resamples=RESAMPLES,
            method=method,
            rng=np.random.default_rng(0),
        ).confidence_interval
        if math.isfinite(found.low) and math.isfinite(found.high):
            break
    return float(found.low), float(found.high)
