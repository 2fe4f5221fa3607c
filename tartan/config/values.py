"""Python values as overrides: `objectives=["mlm"]` becomes `objectives=['mlm']`."""

import json
from collections.abc import Mapping
from numbers import Integral, Real
from os import PathLike, fspath
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from tartan.config.maps import is_bare, written_map
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
    return [f"{name}={written(_plain(value, name))}" for name, value in options.items()]


def searchpath(directory: str | None) -> list[str]:
    """Return a further directory of configurations as an override of Hydra's search path."""
    return [] if directory is None else overrides_of({"hydra.searchpath": [f"file://{directory}"]})


def _plain(value: Any, name: str) -> Any:
    """Return a value as None, a text, a number, a boolean, or lists and maps of these."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str | PathLike) and isinstance(text := fspath(value), str):
        return str(text)
    if isinstance(value, Integral | Real):
        return int(value) if isinstance(value, Integral) else float(value)
    if isinstance(value, list | tuple):
        return [_plain(each, name) for each in value]
    if isinstance(value, Mapping):
        return {_plain(key, name): _plain(each, name) for key, each in value.items()}
    raise ConfigError(
        f"{name} is of type {type(value).__name__}: give a text, a path, a number, a boolean, "
        "None, or a list or map of these"
    )


def written(value: Any) -> str:
    """Return a plain value in Hydra's grammar."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return QuotedString(value, Quote.single).with_quotes()
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, dict):
        if not all(map(is_bare, value)):
            return written_map(value)
        return f"{{{','.join(f'{key}:{written(each)}' for key, each in value.items())}}}"
    return repr(value)
