"""Python values as overrides: `objectives=["mlm"]` becomes `objectives=['mlm']`."""

from collections.abc import Mapping
from numbers import Integral, Real
from os import PathLike, fspath
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from tartan.errors import ConfigError


def overrides_of(options: Mapping[str, Any]) -> list[str]:
    """Return options as overrides, texts in quotes, so that Hydra reads the values unchanged.

    Args:
        options: by dotted name: texts, paths, numbers, booleans, None, lists and maps of these.

    Raises:
        ConfigError: a value is something else.

    >>> overrides_of({"seed": 1, "objectives": ["mlm"], "tracker": None})
    ['seed=1', "objectives=['mlm']", 'tracker=null']
    """
    return [f"{name}={_written(value, name)}" for name, value in options.items()]


def _written(value: Any, name: str) -> str:
    """Return a value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | PathLike):
        text = fspath(value)
        if isinstance(text, str):
            return QuotedString(text, Quote.single).with_quotes()
    if isinstance(value, Integral | Real):
        return repr(int(value) if isinstance(value, Integral) else float(value))
    if isinstance(value, list | tuple):
        return f"[{','.join(_written(each, name) for each in value)}]"
    if isinstance(value, Mapping):
        pairs = (f"{key}:{_written(each, name)}" for key, each in value.items())
        return f"{{{','.join(pairs)}}}"
    raise ConfigError(
        f"{name} is of type {type(value).__name__}: give a text, a path, a number, a boolean, "
        "None, or a list or map of these"
    )
