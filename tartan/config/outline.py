"""Dataclasses of options as JSON, and back: configurations without importing their plugins.

torch takes seconds to import, and plugins import it. What Hydra needs of a plugin is its options'
names, types, defaults and meanings.
"""

import copyreg
import types
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import (
    MISSING,
    Field,
    asdict,
    dataclass,
    field,
    fields,
    is_dataclass,
    make_dataclass,
)
from typing import Any, Union, get_args, get_origin, get_type_hints

from tartan.config.entries import Entry
from tartan.config.options_help import HELP, options_help

PLAIN = (str, int, float, bool)
"""Types of values that JSON has."""
NAMED: Mapping[Any, str] = {Any: "any", type(None): "none", **{cls: cls.__name__ for cls in PLAIN}}
"""Types without parts, and their names in JSON."""

# Launchers such as joblib send these dataclasses to other processes. There a field without a
# default has to hold the very object MISSING, and not a copy of it: it is pickled by its name.
copyreg.pickle(type(MISSING), lambda _: "MISSING")


class NotPlainError(Exception):
    """A type or default that an outline cannot hold; its options are read by importing."""


@dataclass(frozen=True)
class Outline:
    """What can be configured.

    Attributes:
        entries: the dataclasses.
        places: where YAML files of plugins are.
        plugins: the names of installed objectives and weightings.
        missing: by the beginning of other plugins' names, the command that installs them.
    """

    entries: tuple[Entry, ...]
    places: tuple[str, ...]
    plugins: tuple[str, ...]
    missing: Mapping[str, str] = field(default_factory=dict)


def to_json(outline: Outline) -> dict[str, Any]:
    """Return an outline as JSON values. NotPlainError where it has what JSON has not."""
    writer = _Writer()
    entries = [{**vars(entry), "node": writer.add(entry.node)} for entry in outline.entries]
    return {
        "classes": writer.classes,
        "entries": entries,
        "places": list(outline.places),
        "plugins": list(outline.plugins),
        "missing": dict(outline.missing),
    }


def from_json(content: Mapping[str, Any]) -> Outline:
    """Return an outline from JSON values. LookupError, TypeError or ValueError if damaged."""
    classes: list[type] = []
    for described in content["classes"]:  # each refers to those before it only
        options = [_option(option, classes) for option in described["options"]]
        classes.append(make_dataclass(described["name"], options))
    entries = [Entry(**{**entry, "node": classes[entry["node"]]}) for entry in content["entries"]]
    places, plugins = tuple(content["places"]), tuple(content["plugins"])
    return Outline(tuple(entries), places, plugins, dict(content["missing"]))


class _Writer:
    """Turns dataclasses into JSON values, each once.

    Attributes:
        classes: those so far; a class is referred to by its place.
    """

    def __init__(self) -> None:
        self.classes: list[dict[str, Any]] = []
        self._places: dict[type, int] = {}

    def add(self, cls: type) -> int:
        """Return a dataclass's place."""
        if cls not in self._places:
            hints, meant = get_type_hints(cls), options_help(cls)
            options = [
                {
                    "name": option.name,
                    "type": self._type(hints[option.name]),
                    "help": meant[option.name],
                    **self._default(option),
                }
                for option in fields(cls)
            ]
            self._places[cls] = len(self.classes)
            self.classes.append({"name": cls.__name__, "options": options})
        return self._places[cls]

    def _type(self, hint: Any) -> Any:
        """Return a type as JSON values."""
        if hint in NAMED:
            return NAMED[hint]
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in (Union, types.UnionType):
            return {"union": [self._type(each) for each in arguments]}
        if origin in (list, dict):
            return {origin.__name__: [self._type(each) for each in arguments]}
        if hint in (list, dict):
            return {hint.__name__: []}
        if is_dataclass(hint) and isinstance(hint, type):
            return {"class": self.add(hint)}
        raise NotPlainError(f"the type {hint}")

    def _default(self, option: "Field[Any]") -> dict[str, Any]:
        """Return an option's default as JSON values; nothing where it has none."""
        value = option.default
        if option.default_factory is not MISSING:
            value = option.default_factory()
        if value is MISSING:
            return {}
        if is_dataclass(value) and not isinstance(value, type):
            return {"made": self.add(type(value)), "default": _checked(asdict(value))}
        return {"default": _checked(value)}


def _checked(value: Any) -> Any:
    """Return a value that JSON holds as it is. NotPlainError for any other."""
    if isinstance(value, list):
        return [_checked(each) for each in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _checked(each) for key, each in value.items()}
    if value is None or type(value) in PLAIN:
        return value
    raise NotPlainError(f"the default {value!r}")


def _option(described: Mapping[str, Any], classes: list[type]) -> tuple[str, Any, Any]:
    """Return an option as `make_dataclass` takes it."""
    given: dict[str, Any] = {}
    if "made" in described:
        cls, values = classes[described["made"]], described["default"]
        given["default_factory"] = lambda: _instance(cls, values)
    elif isinstance(value := described.get("default"), list | dict):
        given["default_factory"] = lambda: deepcopy(value)
    elif "default" in described:
        given["default"] = value
    kind = _hint(described["type"], classes)
    return described["name"], kind, field(**given, metadata={HELP: described["help"]})


def _instance(cls: type, values: Mapping[str, Any]) -> Any:
    """Return an instance of a dataclass, with those that are nested in it."""
    hints = get_type_hints(cls)
    return cls(
        **{
            name: _instance(hints[name], value) if is_dataclass(hints[name]) else deepcopy(value)
            for name, value in values.items()
        }
    )


def _hint(described: Any, classes: list[type]) -> Any:
    """Return a type from JSON values."""
    if isinstance(described, str):
        return next(hint for hint, name in NAMED.items() if name == described)
    [(kind, content)] = described.items()
    if kind == "class":
        return classes[content]
    inner = tuple(_hint(each, classes) for each in content)
    if kind == "union":
        return Union[inner]  # noqa: UP007 - of a number known at run time
    whole: Any = {"list": list, "dict": dict}[kind]
    return whole[inner] if inner else whole
