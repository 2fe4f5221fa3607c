"""Texts on the command line are taken as they were typed.

Hydra reads values by a grammar of its own: `2025_01_02` is the number 20250102, `a=b` and
`task (1)` are errors, `a,b` is a sweep. An option whose type is a text gets the characters that
were typed, unless they are in quotes, are an interpolation, or are `null` where the option may be
empty. So does one that is a path or a list or map, where it begins as neither of the two.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Override,
    Quote,
    QuotedString,
    Sweep,
)
from hydra.errors import HydraException
from omegaconf import DictConfig, Node, StringNode, ValueNode

from tartan.config.entries import registered

PATHS = frozenset({"run_dir", "resume", "dir", "name", "domain", "unlabelled", "subdir"})
"""Last words of options that may be paths: a `~` at their beginning is the home directory."""
SOURCES = ("data.unlabelled", "data.domain")
"""Options that are a path, unless they begin as a list or map does."""
HYDRA = frozenset({"hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.job.name"})
"""Texts among Hydra's own options."""


def as_typed(text: str, tree: DictConfig, several: bool) -> str:
    """Return an override as Hydra's grammar takes it, its text as it was typed.

    Args:
        text: an override: `data.dir=2024_01_15`.
        tree: the configuration that it changes.
        several: whether commas separate the values of several runs.

    Returns:
        The override, with its value in quotes where that is needed; overrides of other options, and
        those that remove an option, unchanged.
    """
    match = re.fullmatch(r"(\+{0,2})([^=~+@]+)=(.*)", text, re.DOTALL)
    if match is None:
        return text
    prefix, key, value = match.groups()
    if (kind := _text(key, tree)) is None or (key.endswith(SOURCES) and value[:1] in ("[", "{")):
        return text
    optional = kind == "optional"
    parsed = parse(f"x={value}")
    choice = re.fullmatch(r"choice\(([^()'\"\[\]{}]*)\)", value)
    if several and choice:
        values = ",".join(_single(part.strip(), key, optional) for part in choice[1].split(","))
        return f"{prefix}{key}=choice({values})"
    if several and "," in value and not re.search(r"['\"\[{(]", value):
        values = ",".join(_single(part, key, optional) for part in value.split(","))
        return f"{prefix}{key}={values}"
    if several and parsed is not None and parsed.is_sweep_override():
        return text
    return f"{prefix}{key}={_single(value, key, optional)}"


def value_of(text: str) -> str:
    """Return the value of an override, out of its quotes."""
    parsed = parse(text)
    return text.partition("=")[2] if parsed is None else str(parsed.value())


def _single(value: str, key: str, optional: bool) -> str:
    """Return one value as Hydra takes it."""
    if optional and value == "null":
        return value
    parsed = parse(f"x={value}")
    found: Any = None if parsed is None else parsed._value
    if isinstance(found, QuotedString):
        return value
    if value.startswith("~") and key.rpartition(".")[2] in PATHS:
        value = os.path.expanduser(value)  # noqa: PTH111 - an unknown user's stays as it is
    elif isinstance(found, str) and value == value.strip():
        return value  # Hydra's own reading: an interpolation, or a character after a backslash
    elif isinstance(found, Sweep) and not (isinstance(found, ChoiceSweep) and found.simple_form):
        return value  # choice(...), range(...): reported as several runs
    return QuotedString(value, Quote.single).with_quotes()


def parse(text: str) -> Override | None:
    """Return an override as Hydra reads it; None if it cannot."""
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException:
        return None


def _text(key: str, tree: DictConfig) -> str | None:
    """Return `text` or `optional` for an option that is a text; None for any other."""
    if key in HYDRA:
        return "text"
    node: Any = tree
    names = key.split(".")
    for position, name in enumerate(names):
        if (hint := _declared(names[:position], node, names[position:])) is not None:
            kinds = (hint,) if get_origin(hint) is list else get_args(hint) or (hint,)
            if hint is Any and key.endswith(SOURCES):
                kinds = (str, type(None))
            if str in kinds:
                return "optional" if type(None) in kinds else "text"
            return None
        map_of_texts = isinstance(node, DictConfig) and node._metadata.element_type is str
        node = _child(node, name)
        if map_of_texts and node is None:
            return "text"
    if isinstance(node, StringNode):
        return "optional" if node._is_optional() else "text"
    return None


def _declared(section: list[str], node: Any, rest: list[str]) -> Any:
    """Return the declared type of an option in a section whose keys have no types in the tree."""
    if not isinstance(node, DictConfig):
        return None
    for cls in _dataclasses(section, node):
        found: Any = cls
        for name in rest:
            found = get_type_hints(found).get(name) if is_dataclass(found) else None
        if found is not None:
            return found
    return None


def _dataclasses(section: list[str], node: DictConfig) -> Iterator[type]:
    """Return the dataclasses of the options of a section `data` or `model`."""
    if section == ["model"]:
        yield from registered("model/kind").values()
    elif section[-1:] == ["data"] and len(section) in (1, 3):
        source = _child(node, "source")
        name = source._value() if isinstance(source, ValueNode) else "jsonl"
        if (found := registered("data").get(name)) is not None:
            yield found


def _child(node: Any, name: str) -> Node | None:
    """Return a node's child, unresolved."""
    if not isinstance(node, DictConfig) or node._is_none() or node._is_missing():
        return None
    child = node._get_node(name, validate_access=False)
    return child if isinstance(child, Node) else None
