"""The help of `run`: every option, with its value and meaning."""

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from typing import Any, get_args, get_type_hints

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, ListConfig, Node

from tartan.cli.commands import help_text
from tartan.config.composer import Composer, composing, parse_override, single
from tartan.config.entries import registered
from tartan.config.options_help import options_help

WIDTH = 100


def run_help(config_name: str, search: str | None, overrides: Sequence[str]) -> str:
    """Return the help, for the configuration that overrides choose.

    Args:
        config_name: the configuration that they change.
        search: a further directory of configurations.
        overrides: as Hydra takes them.
    """
    with composing():
        loader = GlobalHydra.instance().config_loader()
        groups = [group for group in loader.list_groups("") if group not in ("hydra", "study")]
        choices = {group: loader.get_group_options(group) for group in groups}
        typed = [single(parse_override(text)) for text in overrides]
        tree = Composer(config_name, search).compose(typed)
    lines = [help_text("run"), "choices:"]
    for group, names in choices.items():
        if names:
            lines += _wrapped(f"{group}: {', '.join(names)}", "  ", "      ")
    lines += ["", "options, their values, and what they mean; those of another choice are listed"]
    lines += ["with it: run --help weighting=meta 'objectives=[mlm]'", ""]
    schema = registered("")["schema"]
    return "\n".join([*lines, *_section(tree, schema, ""), ""])


def study_help(search: str | None) -> str:
    """Return the options of a study.

    Args:
        search: a further directory of configurations.
    """
    with composing():
        tree = Composer("study", search).compose([])
    return "\n".join([*_section(tree, registered("")["study_schema"], ""), ""])


def _section(tree: DictConfig, cls: Any, where: str) -> Iterator[str]:
    """Return the lines of a section's options."""
    meant = options_help(cls)
    sections = []
    for name in map(str, tree):
        node = tree._get_node(name, validate_access=False)
        key = f"{where}{name}"
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_interpolation():
            sections.append((name, node, key))
            continue
        yield f"  {key}={_value(node)}"
        if meant.get(name):
            yield from _wrapped(meant[name], "      ", "      ")
    for name, node, key in sections:
        if len(node) or meant.get(name):
            yield ""
            yield f"  {key}: {'' if len(node) else '{}'}".rstrip()
            yield from _wrapped(meant.get(name, ""), "      ", "      ")
            yield from _section(node, _class_of(node, cls, name), f"{key}.")


def _class_of(node: DictConfig, cls: Any, name: str) -> Any:
    """Return the dataclass of a section: its own, or what the section around it declares."""
    own = node._metadata.object_type
    if is_dataclass(own) or not is_dataclass(cls):
        return own
    hint = get_type_hints(cls).get(name)
    return (get_args(hint) or (hint,))[-1]


def _value(node: Any) -> str:
    """Return an option's value as the command line takes it; interpolations as they are."""
    if isinstance(node, ListConfig) and isinstance(node._content, list):
        return f"[{','.join(map(_value, node._content))}]"
    value = node._value() if isinstance(node, Node) else None
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    """Return a text in lines."""
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest)
