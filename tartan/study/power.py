"""How large a difference a number of seeds can show, and how many a difference needs.

Each pair is tested at the level divided by the number of comparisons, as the smallest p is by
Holm's method; a test at that level has POWER, the probability with which it shows a difference that
is there. Differences are taken to be normally distributed.
"""

import math
from functools import cache
from itertools import product

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from tartan.study.statistics import EXACT_UP_TO, least_p, seeds_needed

POWER = 0.8
MOST = 1000
"""The largest number of seeds that is computed; beyond it, texts say "more than"."""
SAMPLES = 2000
"""Samples that the power of the exact test is counted in."""


def power(seeds: int, effect: float, level: float) -> float:
    """Return the probability that the paired permutation test shows an effect.

    Of up to `EXACT_UP_TO` seeds it is counted in SAMPLES samples, the same for every effect: where
    few p are below the level, a t-test has far more power (0.80 where this one has 0.56, for ten
    seeds and 15 comparisons at 0.05). Of more seeds it is the t-test's, which it follows closely.

    Args:
        seeds: pairs, at least 2.
        effect: mean difference by standard deviation of the differences (Cohen's d of pairs).
        level: of this one test.
    """
    if seeds > EXACT_UP_TO:
        return t_power(seeds, effect, level)
    sample = np.random.default_rng(0).standard_normal((SAMPLES, seeds), np.float32)
    sums = np.abs((sample + np.float32(abs(effect))) @ _exchanges(seeds))
    p = (sums >= sums[:, :1]).mean(axis=1)  # the first exchanges nothing
    return float((p < level).mean())


def t_power(seeds: int, effect: float, level: float) -> float:
    """Return the probability that a two-sided paired t-test shows an effect; see `power`."""
    freedom, shift = seeds - 1, abs(effect) * math.sqrt(seeds)
    limit = float(stats.t.isf(level / 2, freedom))
    above = float(stats.nct.sf(limit, freedom, shift))
    below = float(stats.nct.cdf(-limit, freedom, shift))
    return above + (0.0 if math.isnan(below) else below)  # scipy has none for tails near 0


@cache
def _exchanges(seeds: int) -> np.ndarray:
    """Return the signs of all exchanges within pairs, one of each two that are opposite.

    [seeds, 2 ** (seeds - 1)] float32; the first are all 1.
    """
    return np.array([(1, *signs) for signs in product((1, -1), repeat=seeds - 1)], np.float32).T


def detectable(seeds: int, level: float, comparisons: int) -> float | None:
    """Return the smallest effect that is shown with POWER, in standard deviations of differences.

    Args:
        seeds: pairs of runs.
        level: of corrected p.
        comparisons: pairs of arms that are corrected for.

    Returns:
        None where no effect can be shown, however large: see `least_p`.
    """
    if seeds < 2 or least_p(seeds, comparisons) >= level:
        return None
    each, largest = level / comparisons, 1.0
    while power(seeds, largest, each) < POWER:
        largest *= 2
    return float(brentq(lambda size: power(seeds, size, each) - POWER, 0.0, largest, xtol=1e-3))


def seeds_for(effect: float, level: float, comparisons: int) -> int | None:
    """Return the fewest seeds that show an effect with POWER; None for more than MOST.

    Args:
        effect: mean difference by standard deviation of the differences; may be infinite.
        level: of corrected p.
        comparisons: pairs of arms that are corrected for.
    """
    least, most = seeds_needed(level, comparisons), MOST
    each = level / comparisons
    if math.isinf(effect) or power(least, effect, each) >= POWER:
        return least
    if power(most, effect, each) < POWER:
        return None
    while most - least > 1:  # power rises with seeds
        middle = (least + most) // 2
        least, most = (least, middle) if power(middle, effect, each) >= POWER else (middle, most)
    return most
