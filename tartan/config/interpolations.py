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

from tartan.config.maps import MAP, register_resolver
from tartan.errors import ConfigError, first_line, shown, suggest

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
        if MAP in str(node._value()):
            register_resolver()
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
    unset = next((name for name in variables if name not in os.environ), None)
    message = first_line(error)
    if unset:
        return (
            f"the environment variable {unset} is not set: set it, or give a default, "
            f"${{oc.env:{unset},default}}"
        )
    if isinstance(error, UnsupportedInterpolationType):
        name = message.rpartition(" ")[2]
        return f"there is no resolver '{name}': write ${{oc.env:NAME}} for an environment variable"
    if isinstance(error, InterpolationKeyError) and (found := re.search(r"'(.*)'", message)):
        near = suggest(found[1], [key for key, _ in _nodes(tree)])
        return f"'{found[1]}' is not an option" + (f"; {near}" if "did you" in near else "")
    reasons = {
        "has no value": isinstance(error, InterpolationToMissingValueError),
        "refers to itself": "Recursive" in message or isinstance(error, RecursionError),
        "cannot be read": "GrammarParseError" in message,
    }
    known = next((f"it {reason}" for reason, applies in reasons.items() if applies), None)
    return known or message.replace(" raised while resolving interpolation", "")
