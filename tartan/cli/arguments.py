"""Arguments of commands on finished runs: names of files, and options as `name=value`."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from tartan.config.maps import yaml_value
from tartan.config.parse import options
from tartan.config.typed_text import parse
from tartan.errors import ConfigError, suggest

T = TypeVar("T")


def read(
    arguments: Sequence[str], cls: type[T], names: Sequence[str], more: bool = False
) -> tuple[list[str], T]:
    """Return a command's positional arguments and its options.

    Args:
        arguments: as typed. One is an option if it begins with an option's name and `=`, and is no
            file or directory: a sweep names those of its runs by options.
        cls: the dataclass of the options, which may hold others.
        names: what the positional arguments are, for the error line.
        more: whether the last may be repeated.

    Raises:
        ConfigError: an argument is missing or left over, or an option cannot be used.
    """
    known = option_names(cls)
    values: dict[str, Any] = {}
    positional: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if argument.startswith("-"):
            raise ConfigError(f"'{argument}': options are written name=value: {', '.join(known)}")
        if equals and name in known and not names_file(argument):
            *sections, last = name.split(".")
            section = values
            for each in sections:
                section = section.setdefault(each, {})
            section[last] = typed(value)
        else:
            positional.append(argument)
    if len(positional) < len(names):
        missing = names[len(positional)]
        raise ConfigError(f"{missing} is missing: give {' '.join(names)}")
    if len(positional) > len(names) and not more:
        extra = positional[len(names)]
        hint = suggest(extra.partition("=")[0], known)
        raise ConfigError(f"'{extra}' is one argument too many: give {' '.join(names)}; {hint}")
    return positional, options(cls, values, "")


def typed(value: str) -> Any:
    """Return an option's value: lists, maps and quotes as `run` reads them, or the text.

    >>> typed("[a, b]"), typed("null"), typed("007"), typed('"my label"'), typed("{hub: x}")
    (['a', 'b'], None, '007', 'my label', {'hub': 'x'})
    >>> typed("[Größe, b]"), typed("[a")
    (['Größe', 'b'], '[a')
    """
    if not value.startswith(("[", "{", "'", '"')):
        return None if value == "null" else value
    if (override := parse(f"x={value}")) is not None:
        return override.value()
    return value if (found := yaml_value(value)) is None else found


def names_file(argument: str) -> bool:
    """Return whether an argument is the name of a file or directory that is there."""
    try:
        return Path(argument).exists()
    except OSError:  # it is longer than a name can be
        return False


def option_names(cls: Any, prefix: str = "") -> list[str]:
    """Return the dotted names of a dataclass's options."""
    hints = get_type_hints(cls)
    found: list[str] = []
    for each in fields(cls):
        kind = hints[each.name]
        name = f"{prefix}{each.name}"
        found += option_names(kind, f"{name}.") if is_dataclass(kind) else [name]
    return found
