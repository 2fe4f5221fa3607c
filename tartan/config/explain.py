"""Errors of Hydra, OmegaConf and YAML in one line that names the option or file."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from omegaconf import (
    BooleanNode,
    DictConfig,
    FloatNode,
    IntegerNode,
    ListConfig,
    OmegaConf,
    StringNode,
)
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from tartan.errors import first_line

KINDS: Mapping[type, str] = MappingProxyType(
    {
        IntegerNode: "a whole number",
        FloatNode: "a number",
        BooleanNode: "true or false",
        StringNode: "a text",
        ListConfig: "a list",
        DictConfig: "a map of options",
    }
)
"""What an option holds, by its node in a configuration."""
NAMED = {"Integer": "a whole number", "Float": "a number"}
PATTERNS: tuple[tuple[str, str], ...] = (
    (r"Value '(?P<got>.*)' of type '.*' could not be converted to (?P<kind>\w+)", "{kind}"),
    (r"Value '(?P<got>.*)' is not a valid bool", "true or false"),
    (r"Cannot convert '\w+' to string: '(?P<got>.*)'", "a text"),
    (r"Invalid type assigned: .* is not a subclass of .*\. value: (?P<got>.*)", "a map of options"),
    (r"Cannot merge DictConfig with (?P<got>ListConfig)", "a map of options"),
    (r"Invalid value assigned: (?P<got>\w+) is not a ListConfig", "a list"),
    (r"field '.*' is not Optional", "a value"),
)
"""What OmegaConf says of a value of the wrong type, and what the option holds instead."""


def one_line(error: BaseException, where: str = "") -> str:
    """Return an error of Hydra, OmegaConf or YAML in one line that names the option.

    Args:
        error: as it was raised.
        where: the dotted name of the section that was read.
    """
    if isinstance(error, RecursionError):
        return (
            "a file of configurations includes itself in its defaults, or has the name of what it "
            "includes: give it another name"
        )
    cause = error
    # Hydra wraps what OmegaConf raises; OmegaConf's own causes, where it keeps them, say less.
    if not isinstance(error, OmegaConfBaseException):
        for inner in (error.__cause__, error.__context__):
            cause = inner if isinstance(inner, OmegaConfBaseException) else cause
    if isinstance(cause, YAMLError):
        return _yaml(cause)
    text = first_line(cause)
    key = ".".join(filter(None, (where, getattr(cause, "full_key", None))))
    named = re.match(r"In '(.*)': \w+ raised while composing config:", str(error))
    place = f"{named[1]}.yaml: " if named else ""
    if key and (said := _said(text, key)):
        return place + said
    return place + (f"{key}: {text}" if key and key not in text else text)


def _said(text: str, key: str) -> str | None:
    """Return what OmegaConf says of an option, in words of ours; None where there are none."""
    if "missing mandatory value" in text.lower():
        return f"{key} must be set: it has no default"
    if re.match(r"Key '.*' (is )?not in ", text):
        return f"{key}: no such option"
    for pattern, form in PATTERNS:
        if found := re.match(pattern, text):
            groups = {"got": "null", "kind": "", **found.groupdict()}
            kind = form.format(kind=NAMED.get(groups["kind"], groups["kind"]))
            got = {"ListConfig": "a list", "AnyNode": "a single value"}
            return f"{key} must be {kind}, got {got.get(groups['got'], groups['got'])}"
    return None


def wrong_value(key: str, typed: str, tree: DictConfig) -> str | None:
    """Return what to type instead of a value that an option cannot have.

    Args:
        key: the option, dotted.
        typed: the value as it was typed.
        tree: the configuration without that value.

    Returns:
        A line; None where the option's type is not known.
    """
    node: Any = tree
    for name in key.split("."):
        usable = isinstance(node, DictConfig) and not (node._is_none() or node._is_missing())
        node = node._get_node(name, validate_access=False) if usable else None
    if "${" in typed:
        return f"{key}={typed}: not an interpolation: write ${{oc.env:NAME}}, or ${{option}}"
    kind = next((kind for cls, kind in KINDS.items() if isinstance(node, cls)), None)
    if kind is None:
        return None
    example = ""
    if isinstance(node, DictConfig):
        names = [] if node._is_interpolation() or node._is_none() else list(node)
        example = f": set one of its options, {key}.{names[0]}=..." if names else ""
    else:
        value = OmegaConf.select(tree, key, throw_on_resolution_failure=False)
        if value is not None:
            shown = str(value).lower() if isinstance(value, bool) else value
            example = f": write {key}={shown}, for example"
    return f"{key} must be {kind}, got {typed or 'nothing'}{example}"


def broken_file(directory: str | None) -> str | None:
    """Return what is wrong with the first file of a directory of configurations that is not usable.

    Hydra does not name the file where it cannot be read.
    """
    for path in sorted(Path(directory).rglob("*.y*ml")) if directory else []:
        try:
            OmegaConf.load(path)
        except YAMLError as error:
            return _yaml(error, path)
        # Whatever Python raises for a value that YAML allows, or for bytes that are not text.
        except Exception as error:
            return f"{path} cannot be read: {first_line(error)}"
    return None


def _yaml(error: YAMLError, path: Path | None = None) -> str:
    """Return what is wrong with a YAML file: file, line, problem."""
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return f"{path or 'a configuration file'} cannot be read: {' '.join(str(error).split())}"
    mark, problem = error.problem_mark, " ".join(str(error.problem).split())
    if "could not determine a constructor" in problem:
        problem = f"{problem}; tags are not allowed, write plain values"
    return f"{path or mark.name}:{mark.line + 1}: not valid YAML: {problem}"
