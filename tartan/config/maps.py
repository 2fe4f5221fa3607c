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
from omegaconf import OmegaConf
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


def yaml_value(text: str) -> Any:
    """Return a list or map that is typed as in YAML; None if the text is neither.

    >>> yaml_value('{"a class": 5}'), yaml_value("[Größe, b]"), yaml_value("{Größe:5}")
    ({'a class': 5}, ['Größe', 'b'], None)
    """
    if text[:1] + text[-1:] not in ("{}", "[]"):
        return None
    try:
        found = OmegaConf.to_container(OmegaConf.create(text))
    except (yaml.YAMLError, OmegaConfBaseException):
        return None
    return None if _lacks_value(found) else found


def _lacks_value(found: Any) -> bool:
    """Return whether a map has a key without a value, as YAML reads `{a:5}`."""
    if isinstance(found, list):
        return any(map(_lacks_value, found))
    return isinstance(found, dict) and any(v is None or _lacks_value(v) for v in found.values())


def register_resolver() -> None:
    """Make `${tartan.map:...}` known to OmegaConf."""
    OmegaConf.register_new_resolver(MAP, lambda text: yaml.safe_load(unquote(text)), replace=True)
