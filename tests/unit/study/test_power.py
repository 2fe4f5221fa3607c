"""The power of the paired test, against simulation and tables; the sentence of each pair."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from tartan.study.conclusions import conclusions
from tartan.study.power import MOST, POWER, SAMPLES, detectable, power, seeds_for, t_power
from tartan.study.results import Pair
from tartan.study.statistics import effect, estimate, least_p, paired_test, seeds_needed

LABELS = {"a": "A", "b": "B"}


def pair(differences: list[float], corrected: float | None, comparisons: int = 1) -> Pair:
    found = estimate(differences)
    seeds = tuple(range(len(differences)))
    return Pair(
        "a", "b", seeds, differences, found, corrected, True, corrected,
        least_p(len(seeds), comparisons), effect(found),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seeds", "effect", "level", "expected"),
    [(34, 0.5, 0.05, 0.808), (15, 0.8, 0.05, 0.821), (199, 0.2, 0.05, 0.802), (5, 0.0, 0.05, 0.05)],
)
def test_power_is_that_of_tables(seeds: int, effect: float, level: float, expected: float):
    """Values of the paired t-test by G*Power; an effect of 0 is shown as often as the level."""
    assert t_power(seeds, effect, level) == pytest.approx(expected, abs=2e-3)
    assert t_power(seeds, -effect, level) == t_power(seeds, effect, level)


@pytest.mark.parametrize(
    ("seeds", "effect", "comparisons"), [(8, 1.2, 1), (8, 1.65, 6), (10, 1.58, 15)]
)
def test_the_permutation_test_has_this_power(seeds: int, effect: float, comparisons: int):
    """The last two have the fewest seeds that can show a difference; a t-test shows 0.80."""
    rng, level = np.random.default_rng(1), 0.05 / comparisons
    found = [paired_test((rng.normal(size=seeds) + effect).tolist()) for _ in range(200)]
    share = sum(p is not None and p < level for p in found) / len(found)
    assert share == pytest.approx(power(seeds, effect, level), abs=0.1)
    assert power(seeds, -effect, level) == power(seeds, effect, level)


@pytest.mark.parametrize("size", [0.5, 1.65, 3.0])
def test_where_the_smallest_p_alone_counts_all_differences_must_have_one_sign(size: float):
    expected = norm.cdf(size) ** 8 + norm.cdf(-size) ** 8
    assert power(8, size, 0.05 / 6) == pytest.approx(expected, abs=0.03)
    assert power(8, size, 0.05 / 7) == 0


def test_from_fifteen_seeds_on_it_is_the_t_tests():
    for size in (0.7, 0.9):
        assert power(14, size, 0.05) == pytest.approx(t_power(14, size, 0.05), abs=0.04)
        assert power(15, size, 0.05) == t_power(15, size, 0.05)


def test_what_is_detectable_is_shown_with_that_power():
    found = detectable(8, 0.05, 3)
    assert found is not None
    assert power(8, found, 0.05 / 3) == pytest.approx(POWER, abs=10 / SAMPLES)
    assert detectable(20, 0.05, 3) < found < detectable(8, 0.05, 6)


def test_below_the_least_p_nothing_is_detectable():
    assert detectable(5, 0.05, 1) is None
    assert detectable(1, 0.05, 1) is None
    assert detectable(6, 0.05, 1) is not None


@pytest.mark.parametrize("comparisons", [1, 15])
@pytest.mark.parametrize("size", [0.3, 0.9, 2.0])
def test_the_seeds_for_an_effect_are_the_fewest(size: float, comparisons: int):
    found = seeds_for(size, 0.05, comparisons)
    assert found is not None
    assert power(found, size, 0.05 / comparisons) >= POWER
    fewer = found - 1
    assert fewer < seeds_needed(0.05, comparisons) or (
        power(fewer, size, 0.05 / comparisons) < POWER
    )


def test_an_effect_without_spread_needs_what_the_test_needs_and_none_needs_too_many():
    assert seeds_for(math.inf, 0.05, 1) == seeds_needed(0.05, 1) == 6
    assert seeds_for(1e-4, 0.05, 1) is None


def test_a_significant_pair_is_named_better_first():
    assert conclusions([pair([-0.1, -0.2, -0.3], 0.01)], LABELS, 0.05) == (
        "B is better than A by 0.2000 (3 seeds, corrected p 0.0100).",
    )


def test_where_nothing_is_shown_the_seeds_that_would_are_named():
    (said,) = conclusions([pair([0.01, 0.02, 0.03], 0.25)], LABELS, 0.05)
    assert said == (
        "No difference between A and B can be shown with 3 seeds. To show one of +0.0200, as "
        "measured, about 6 would be needed."
    )
    (said,) = conclusions([pair([0.1, -0.1, 0.0001], 1.0)], LABELS, 0.05)
    assert f"more than {MOST} would be needed" in said


def test_more_seeds_are_needed_than_there_were():
    """The test of few seeds is coarse: an effect may be large enough and p not small enough."""
    steady = [0.5, 0.5, 0.5, 0.5, 0.5, 0.51]
    (said,) = conclusions([pair(steady, 0.06)], LABELS, 0.05)
    assert ", about 7 would be needed" in said


@pytest.mark.parametrize("differences", [[], [0.5]])
def test_without_a_test_at_least_so_many_are_needed(differences: list[float]):
    (said,) = conclusions([pair(differences, None)], LABELS, 0.05)
    assert said.endswith(" that both finished; at least 6 are needed.")


def test_equal_scores_are_no_effect():
    assert effect(estimate([0.0, 0.0])) is None
    assert conclusions([pair([0.0, 0.0], 1.0)], LABELS, 0.05) == (
        "A and B have equal scores with 2 seeds.",
    )


def test_an_effect_is_the_mean_in_standard_deviations():
    assert effect(estimate([1.0, 2.0, 3.0])) == pytest.approx(2.0)
    assert effect(estimate([0.3, 0.3, 0.3])) is None
    assert effect(estimate([0.3])) is None
