"""Check options: that a number is in its range, and a word one of its choices."""

from collections.abc import Iterable
from numbers import Real
from typing import Any

from tartan.errors import ConfigError, suggest


def check_ranges(where: str, options: object, **ranges: str) -> None:
    """Check that the numbers of some options are in their ranges.

    Args:
        where: the section of the options, such as `objectives.mlm`; empty at the top level.
        options: an object that has them as attributes.
        ranges: the range of each, as `check_range` reads it.

    Raises:
        ConfigError: the first that is outside.

    >>> from types import SimpleNamespace
    >>> check_ranges("weighting", SimpleNamespace(lr=0.1, every=1), lr="[0, inf)", every="[1, inf)")
    """
    for name, text in ranges.items():
        check_range(f"{where}.{name}" if where else name, getattr(options, name), text)


def check_range(name: str, value: Any, text: str) -> None:
    """Check that a value is a number in a range. NaN is in none; True and False are not numbers.

    Args:
        name: the option's, dotted.
        value: of any type.
        text: an interval, such as `[0, 1)` or `(0, inf)`; then ` or null` if None is valid too, or
            ` or ` and a word that is.

    Raises:
        ConfigError: it is not a number, or outside.

    >>> check_range("primary.positive_weight", "balanced", "(0, inf) or balanced")
    """
    interval, either, other = text.partition(" or ")
    if either and (value is None if other == "null" else value == other):
        return
    least, most = interval[1:-1].split(", ")
    from_least, to_most = interval.startswith("["), interval.endswith("]")
    number = isinstance(value, Real) and not isinstance(value, bool)
    if number and (
        (value >= float(least) if from_least else value > float(least))
        and (value <= float(most) if to_most else value < float(most))
    ):
        return
    words = f"in {interval}"
    if most == "inf":
        finite = " and finite" if isinstance(value, float) else ""
        words = f"{'at least' if from_least else 'more than'} {least}{finite}"
    raise ConfigError(f"{name} must be {words}{',' if either else ''}{either}{other}, got {value}.")


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Check that a word is one of its choices. ConfigError, with the nearest, if it is not."""
    known = list(choices)
    if value not in known:
        raise ConfigError(f"{name}={value}: {suggest(value, known)}")
