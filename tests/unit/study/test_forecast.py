"""What a study says of its seeds before it starts."""

import pytest

from tartan.study.forecast import difference_line, enough_seeds, seeds_line
from tartan.study.power import detectable


@pytest.mark.parametrize(("comparisons", "seeds"), [(0, 8), (1, 8), (6, 8), (7, 9), (15, 10)])
def test_the_default_seeds_are_the_fewest_that_can_show_a_difference(comparisons: int, seeds: int):
    assert enough_seeds(comparisons, 0.05) == seeds
    if comparisons:
        assert detectable(seeds, 0.05, comparisons) is not None
        assert seeds == 8 or detectable(seeds - 1, 0.05, comparisons) is None


def test_more_seeds_than_eight_are_explained():
    """Six arms, all pairs."""
    assert seeds_line(8, 6, 3) is None
    assert seeds_line(10, 15, 5) == (
        "Seeds 0 to 9: fewer than 10 cannot show a difference in 15 comparisons. study.seeds=N "
        "sets another number; study.against=ARM makes 5 comparisons."
    )


def test_with_one_comparison_no_fewer_are_proposed():
    """Two arms and study.level=0.001."""
    assert seeds_line(11, 1, 1) == (
        "Seeds 0 to 10: fewer than 11 cannot show a difference in 1 comparison. study.seeds=N sets "
        "another number."
    )


def test_where_the_seeds_given_are_too_few_the_cheap_cure_is_named():
    least = "no difference can be shown, however large; at least"
    assert difference_line(8, 15, 0.05, [], 5) == (
        f"8 seeds and 15 comparisons: {least} 10 seeds are needed. study.against=ARM makes 5 "
        "comparisons, for which 8 seeds are enough."
    )
    assert difference_line(7, 15, 0.05, [], 5) == (
        f"7 seeds and 15 comparisons: {least} 10 seeds are needed."
    )
    assert difference_line(7, 5, 0.05, [], None) == (
        f"7 seeds and 5 comparisons: {least} 8 seeds are needed."
    )
