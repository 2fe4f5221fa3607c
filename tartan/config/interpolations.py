"""Interpolations, `${...}`, that have no value: each is one line with its option and variable."""

import os
import re
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, ListConfig, Node
from omegaconf.errors import (
    InterpolationKeyError,
    InterpolationToMissingValueError,
    UnsupportedInterpolationType,
)

from tartan.errors import ConfigError, shown, suggest

LATER = "HydraConfig was not set"
"""What Hydra's resolver `hydra:` says before a run begins."""


def check_interpolations(tree: DictConfig) -> None:
    """ConfigError where an option refers to something that has no value."""
    failed = dict(_failures(tree))
    for key, (text, error) in failed.items():
        # An option that only refers to another one that fails is not the one to change.
        if not any(name in failed and name != key for name in re.findall(r"\$\{([\w.]+)\}", text)):
            raise ConfigError(f"{key}={shown(text)}: {_reason(text, error, tree)}") from error
    for key, (text, error) in failed.items():
        raise ConfigError(f"{key}={shown(text)}: it refers to itself") from error


def _failures(tree: DictConfig) -> Iterator[tuple[str, tuple[str, Exception]]]:
    """Yield the options whose interpolations fail: their text, and the error."""
    for key, node in _nodes(tree):
        if not node._is_interpolation():
            continue
        try:
            value = node._dereference_node()
            if value._is_missing():
                raise InterpolationToMissingValueError("???")
        # Resolvers are functions of others, and raise whatever they do.
        except (Exception, RecursionError) as error:
            if LATER not in str(error):
                yield key, (str(node._value()), error)


def _nodes(node: Node, key: str = "") -> Iterator[tuple[str, Node]]:
    """Yield the nodes of a configuration that have a value, with their dotted keys."""
    yield key, node
    if isinstance(node, DictConfig | ListConfig) and not (
        node._is_interpolation() or node._is_none() or node._is_missing()
    ):
        names: Any = node.keys() if isinstance(node, DictConfig) else range(len(node))
        for name in names:
            child = node._get_node(name, validate_access=False)
            if isinstance(child, Node):
                yield from _nodes(child, f"{key}.{name}" if key else str(name))


def _reason(text: str, error: Exception, tree: DictConfig) -> str:
    """Return what is wrong with an interpolation, and what to do."""
    variables = re.findall(r"\$\{\s*oc\.env\s*:\s*([^\s,}]+)\s*\}", text)
    unset = [name for name in variables if name not in os.environ]
    if unset:
        name = unset[0]
        return (
            f"the environment variable {name} is not set: set it, or give a default, "
            f"${{oc.env:{name},default}}"
        )
    if isinstance(error, UnsupportedInterpolationType):
        name = str(error).splitlines()[0].rpartition(" ")[2]
        return f"there is no resolver '{name}': write ${{oc.env:NAME}} for an environment variable"
    if isinstance(error, InterpolationKeyError):
        found = re.search(r"Interpolation key '(.*)' not found", str(error))
        name = found[1] if found else text
        keys = [key for key, _ in _nodes(tree)]
        near = suggest(name, keys)
        help_ = f"; {near}" if near.startswith("did you mean") else ""
        return f"'{name}' is not an option{help_}"
    if isinstance(error, InterpolationToMissingValueError):
        return "the option that it refers to has no value"
    if "Recursive" in str(error) or isinstance(error, RecursionError):
        return "it refers to itself"
    first = next(iter(str(error).splitlines()), type(error).__name__)
    return first.replace(" raised while resolving interpolation", "")
