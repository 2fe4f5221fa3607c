"""Maps whose keys Hydra's grammar cannot hold: `{Größe: 5}`, `{Q&A: 5}`, `{"a class": 5}`.

Hydra has no quotes around keys, and takes few characters beside ASCII letters. Such a map becomes a
text in quotes with an interpolation, whose resolver returns the map:

    primary.class_weights='${tartan.map:"{Größe: 5}"}'
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

MAP = "tartan.map"
"""The resolver's name."""
BARE = re.compile(r"(?!(null|true|false|inf|nan)$)[a-z_][\w-]*", re.ASCII | re.IGNORECASE)
"""Texts that Hydra's grammar takes as keys and leaves as they are."""


def is_bare(key: Any) -> bool:
    """Return whether Hydra's grammar takes a key as it is."""
    return BARE.fullmatch(key) is not None if isinstance(key, str) else True


def written_map(values: Mapping[Any, Any]) -> str:
    """Return a map of plain values as Hydra takes it, whatever its keys are.

    >>> print(written_map({"Größe": 5, "Q&A": 0.5}))
    '${tartan.map:"{Größe: 5, Q&A: 0.5}"}'
    """
    text = yaml.safe_dump(
        dict(values), default_flow_style=True, allow_unicode=True, width=2**30, sort_keys=False
    ).strip()
    # Characters with a meaning in one of the grammars around the text.
    safe = re.sub(r"[%\"'\\$]", lambda found: quote(found[0], safe=""), text)
    return f"'${{{MAP}:\"{safe}\"}}'"


def as_map(value: str) -> str | None:
    """Return a map, typed as in YAML, as Hydra takes it; None if the text is not a map.

    >>> print(as_map('{"a class": 5}'), as_map("{Größe:5}"), as_map("{a, b}"))
    '${tartan.map:"{a class: 5}"}' None None
    """
    if not (value.startswith("{") and value.endswith("}")):
        return None
    try:
        found = OmegaConf.create(value)
        plain: Any = OmegaConf.to_container(found) if isinstance(found, DictConfig) else {}
        # YAML reads `{a:5}` as a key without a value.
        return written_map(plain) if plain and None not in plain.values() else None
    except (yaml.YAMLError, OmegaConfBaseException):
        return None


def register_resolver() -> None:
    """Make `${tartan.map:...}` known to OmegaConf."""
    OmegaConf.register_new_resolver(MAP, lambda text: yaml.safe_load(unquote(text)), replace=True)
