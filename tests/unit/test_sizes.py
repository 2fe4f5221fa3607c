"""Counts and amounts of memory are shown in one way everywhere."""

import pytest

from tartan.sizes import amount, counted


@pytest.mark.parametrize(
    ("count", "shown"), [(5, "5 bytes"), (3 << 29, "1.5 GiB"), (1 << 60, "1.049e+06 TiB")]
)
def test_bytes_are_shown_in_the_largest_unit(count: int, shown: str):
    assert amount(count) == shown


@pytest.mark.parametrize(("count", "shown"), [(0, "0 copies"), (1, "1 copy"), (2, "2 copies")])
def test_a_noun_agrees_with_its_count(count: int, shown: str):
    assert counted(count, "copy", "copies") == shown
