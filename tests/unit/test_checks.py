"""Checks of options: numbers in their range, words among their choices."""

import math
from dataclasses import dataclass

import pytest

from tartan import ConfigError, check_choice, check_range, check_ranges


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("[0, 1)", (0, 0.0, 0.5), (-0.1, 1, 1.0, math.nan, math.inf, None, "0.5", False)),
        ("(0, 1]", (1, 1e-9), (0, 0.0, 1.1, math.nan, None)),
        ("(-2, inf)", (-1, 1e300), (-2.0, math.inf, math.nan, None)),
        ("[1, inf) or null", (None, 1), (0, math.nan, "null", True)),
        ("(0, inf) or balanced", ("balanced", 1), (0, None, "balance", True)),
    ],
)
def test_a_range_is_an_interval(text: str, inside: tuple, outside: tuple):
    for value in inside:
        check_range("x", value, text)
    for value in outside:
        with pytest.raises(ConfigError):
            check_range("x", value, text)


@pytest.mark.parametrize(
    ("value", "text", "message"),
    [
        (2.0, "(0, 1]", "x must be in (0, 1], got 2.0."),
        (0, "[1, inf)", "x must be at least 1, got 0."),
        (math.nan, "[0, inf)", "x must be at least 0 and finite, got nan."),
        (0.0, "(0, inf) or null", "x must be more than 0 and finite, or null, got 0.0."),
        (1.0, "(0, 1) or null", "x must be in (0, 1), or null, got 1.0."),
        (None, "[0, 1]", "x must be in [0, 1], got None."),
        ("a", "(0, inf) or balanced", "x must be more than 0, or balanced, got a."),
    ],
)
def test_the_error_says_the_option_its_range_and_the_value(value, text, message):
    with pytest.raises(ConfigError) as caught:
        check_range("x", value, text)
    assert str(caught.value) == message


def test_options_are_named_with_their_section():
    @dataclass
    class Options:
        rate: float = 0.5
        every: int = 0

    check_ranges("a.b", Options(), rate="[0, 1]")
    for where, name in (("a.b", "a.b.every"), ("", "every")):
        with pytest.raises(ConfigError, match=rf"^{name} must be at least 1, got 0\.$"):
            check_ranges(where, Options(), rate="[0, 1]", every="[1, inf)")


def test_a_word_that_is_no_choice_is_refused_with_the_nearest():
    check_choice("x", "mlm", ["mlm", "rtd"])
    with pytest.raises(ConfigError, match=r"^x=mln: did you mean 'mlm'\?$"):
        check_choice("x", "mln", {"mlm": 1, "rtd": 2})
