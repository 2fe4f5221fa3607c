"""Estimates, paired tests and their correction, against values worked out by hand."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tartan.errors import ConfigError
from tartan.study.statistics import estimate, holm, least_p, paired_test, seeds_needed

values = st.lists(st.integers(-8, 8).map(float), min_size=2, max_size=7)


def test_a_mean_and_its_standard_deviation():
    found = estimate([2.0, 4.0, 4.0, 6.0])
    assert (found.n, found.mean) == (4, 4.0)
    assert found.std == pytest.approx(math.sqrt(8 / 3))
    assert 2.0 <= found.low < 4.0 < found.high <= 6.0


def test_one_value_has_no_spread_and_none_no_mean():
    assert vars(estimate([0.5])) == {"n": 1, "mean": 0.5, "std": None, "low": None, "high": None}
    assert estimate([]) is None


def test_values_that_are_alike_have_an_interval_of_one_point():
    found = estimate([0.3, 0.3, 0.3])
    assert (found.low, found.high) == (0.3, 0.3)
    assert found.std == pytest.approx(0.0, abs=1e-12)


def test_the_interval_of_two_values_is_between_them():
    found = estimate([1.0, 2.0])
    assert (found.low, found.high) == (1.0, 2.0)


def test_a_bootstrap_interval_covers_the_mean_about_as_often_as_it_says():
    """Of 200 samples of 20 from a normal law, at 90 %; BCa is a little narrow on small samples."""
    rng = np.random.default_rng(0)
    found = [estimate(rng.normal(size=20).tolist(), 0.9) for _ in range(60)]
    covered = sum(one.low <= 0.0 <= one.high for one in found)
    assert 45 <= covered <= 60


@settings(max_examples=10, deadline=None)
@given(values, st.randoms())
def test_an_estimate_does_not_depend_on_the_order(sample, random):
    mixed = random.sample(sample, len(sample))
    assert estimate(mixed) == estimate(sample)


@settings(max_examples=10, deadline=None)
@given(values)
def test_an_interval_moves_with_its_values(sample):
    one, moved = estimate(sample), estimate([value + 16.0 for value in sample])
    assert moved.low == pytest.approx(one.low + 16.0)
    assert moved.high == pytest.approx(one.high + 16.0)


@settings(max_examples=30, deadline=None)
@example([3, -1, -2, -2, 5, -2, 0, 3], 974)
@example([7, -2, 1, -2, -6, 0, 7, -6], 114)
@given(st.lists(st.integers(-8, 8), min_size=2, max_size=7), st.integers(1, 2000))
def test_the_paired_test_counts_exchanges_that_are_as_far_from_nought(counts, rows):
    """The definition, in so many words: every pattern of signs, both tails.

    Differences of an accuracy are counts divided by rows, so that many patterns are ties.
    """
    seen = abs(sum(counts))
    sums = [
        sum(sign * value for sign, value in zip(signs, counts, strict=True))
        for signs in product((-1, 1), repeat=len(counts))
    ]
    share = sum(abs(one) >= seen for one in sums) / len(sums)
    assert paired_test([count / rows for count in counts]) == pytest.approx(share)


def test_the_paired_test_by_hand():
    """Of eight patterns of signs of 1, 2, 3, only all alike are as far from nought as 6."""
    assert paired_test([1.0, 2.0, 3.0]) == pytest.approx(2 / 8)
    assert paired_test([1.0, -2.0, 3.0]) == pytest.approx(6 / 8)


def test_five_seeds_cannot_be_significant_and_six_can():
    assert paired_test([0.1, 0.2, 0.3, 0.4, 0.5]) == pytest.approx(0.0625)
    assert paired_test([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) == pytest.approx(0.03125)


def test_there_is_no_test_of_one_pair_and_no_difference_of_equal_arms():
    assert paired_test([0.4]) is None
    assert paired_test([0.0, 0.0, 0.0]) == 1.0


def test_many_pairs_are_tested_by_a_sample_of_exchanges_that_is_the_same_each_time():
    differences = [0.5 + 0.1 * math.sin(n) for n in range(20)]
    assert paired_test(differences) == paired_test(differences[::-1])
    assert 0 < paired_test(differences) < 0.001


def test_holm_by_hand():
    """Sorted 0.01, 0.02, 0.03, 0.5 times 4, 3, 2, 1, and never falling."""
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.4, 0.5]) == pytest.approx([0.8, 0.8])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_between_no_correction_and_bonferroni_and_keeps_the_order(raw):
    corrected = holm(raw)
    for p, q in zip(raw, corrected, strict=True):
        assert p <= q <= min(1.0, len(raw) * p) or q == pytest.approx(max(corrected))
    ranks = sorted(range(len(raw)), key=lambda n: (raw[n], corrected[n]))
    assert [corrected[n] for n in ranks] == sorted(corrected)


def test_the_least_p_is_reached_where_all_differences_point_one_way():
    assert least_p(5, 1) == 0.0625
    assert least_p(8, 6) == pytest.approx(6 / 128)
    assert least_p(3, 10) == 1.0
    assert least_p(0, 1) == 1.0
    for seeds in (7, 14, 20):
        assert paired_test([0.3] * seeds) == pytest.approx(least_p(seeds, 1))


def test_a_level_that_no_number_of_seeds_can_reach_is_refused():
    assert seeds_needed(0.002, 10) == 14
    with pytest.raises(ConfigError, match=r"^study\.level=0\.001: corrected for 10 comparisons"):
        seeds_needed(0.001, 10)


@pytest.mark.parametrize(("comparisons", "seeds"), [(1, 6), (3, 7), (6, 8), (10, 9)])
def test_the_seeds_that_are_needed(comparisons, seeds):
    assert seeds_needed(0.05, comparisons) == seeds
    assert least_p(seeds, comparisons) < 0.05 <= least_p(seeds - 1, comparisons)
