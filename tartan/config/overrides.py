"""Command-line overrides, checked before Hydra acts on them.

Hydra answers a misspelt name with a hint to add it, and an unknown option of a multi-select group
without the list of valid ones. Here each gets one line with the nearest valid name, before any
directory exists.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_origin

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, Node, OmegaConf

from tartan.config.composer import Composer, composing, parse_override, single, singles
from tartan.config.maps import yaml_value
from tartan.config.typed_text import as_typed
from tartan.config.values import written
from tartan.errors import ConfigError, NoSuchOptionError, suggest

STAGE_WEIGHTING = re.compile(r"schedule\.stages\.[^.]+\.weighting")
"""A stage's weighting. As a plain map it takes any option; the plugin's class checks it later."""


def accept(
    overrides: Sequence[str],
    config_name: str = "config",
    search: str | None = None,
    multirun: bool = False,
) -> list[str]:
    """Refuse overrides that cannot be composed into a run's configuration.

    Args:
        overrides: as typed: `weighting=meta`, `objectives.mlm.mask_prob=0.2`, also sweeps.
        config_name: the configuration they change.
        search: a further directory of configurations, as `--config-dir` names it.
        multirun: whether several runs are to be started.

    Returns:
        The overrides as Hydra takes them: a text is quoted where Hydra would change it, and an
        entry of a map such as `weighting.weights`, which is new to Hydra, is forced.

    Raises:
        ConfigError: an unknown option or choice, a value of the wrong type, an interpolation
            without a value, or what belongs to several runs where there is one.
    """
    if search is not None and not Path(search).is_dir():
        raise ConfigError(f"--config-dir={search}: there is no such directory")
    with composing():
        composer = Composer(config_name, search)
        chosen = composer.choose(overrides)
        groups = [parse_override(text) for text in chosen.values()]
        _check_mode(groups, multirun)
        trees = {swept: composer.compose(made) for swept, made in _choices(groups).items()}
        accepted, *_ = [
            _accepted(overrides, chosen, tree, swept, multirun) for swept, tree in trees.items()
        ]
        tree = next(iter(trees.values()))
        parsed = [parse_override(text) for text in accepted]
        _check_mode(parsed, multirun)
        composer.check(parsed, tree)
        return accepted


def _check_mode(overrides: Sequence[Override], multirun: bool) -> None:
    """ConfigError where an override belongs to the other of one run and several."""
    for override in overrides:
        if override.is_sweep_override() and not multirun:
            raise ConfigError(f"'{override.input_line}' is several runs: add -m to start them")
        if override.key_or_group == "run_dir" and multirun:
            raise ConfigError("run_dir belongs to a single run: with -m, give hydra.sweep.dir")


def _choices(groups: Sequence[Override]) -> dict[str, list[str]]:
    """Return the first choice of each group, then each other choice of those that are swept.

    Args:
        groups: the overrides that choose an option of a group.

    Returns:
        The choices as single overrides, by those of them that are swept, as text.
    """
    swept = [override for override in groups if override.is_sweep_override()]
    found = {" ".join(map(single, swept)): [single(override) for override in groups]}
    for group in swept:
        rest = [single(override) for override in groups if override is not group]
        same = [single(override) for override in swept if override is not group]
        found |= {" ".join([*same, other]): [*rest, other] for other in singles(group)[1:]}
    return found


def _accepted(
    overrides: Sequence[str], chosen: Mapping[str, str], tree: DictConfig, swept: str, sweep: bool
) -> list[str]:
    """Return overrides as Hydra takes them.

    Args:
        overrides: as typed.
        chosen: those that choose an option of a group, as typed and as Hydra takes them.
        tree: the configuration with the choices.
        swept: which choices these are of those that are swept; empty where none is.
        sweep: whether several runs are to be started.

    Raises:
        ConfigError: an override cannot be used with these choices.
    """
    try:
        return [
            chosen[text] if text in chosen else _shape(as_typed(text, tree, sweep), tree)
            for text in overrides
        ]
    except NoSuchOptionError as error:
        if not swept:
            raise
        raise NoSuchOptionError(f"with {swept}, {error}", error.key) from error


def _shape(text: str, tree: DictConfig) -> str:
    """Return an override of an option in the form that Hydra needs.

    Args:
        text: the override.
        tree: the configuration it changes.

    Raises:
        ConfigError: the option does not exist, cannot be removed, or exists and is added.
    """
    override = parse_override(text := _readable(text))
    key = override.key_or_group
    if key.partition(".")[0].partition("/")[0] == "hydra":
        return text
    node, free = _find(key, tree)
    if override.is_delete():
        if free and node is not None:
            return text
        if node is not None and node._is_optional():
            return f"{key}=null"
        raise ConfigError(f"'{text}': {key} cannot be removed; leave it out for its default")
    if override.is_add() and node is not None:
        raise ConfigError(f"'{text}': write {text.lstrip('+')}, without the plus sign")
    new = node is None or (isinstance(node, DictConfig) and _is_map(node))
    return f"++{text.lstrip('+')}" if new else text


def _readable(text: str) -> str:
    """Return an override with its list or map in Hydra's grammar, where that cannot read it."""
    name, _, value = text.partition("=")
    try:
        parse_override(text)
    except ConfigError:
        found = yaml_value(value)
        return text if found is None else f"{name}={written(found)}"
    return text


def _find(key: str, tree: DictConfig) -> tuple[Node | None, bool]:
    """Return the node of a dotted key, and whether it is in a map whose keys are free.

    Args:
        key: `weighting.weights.mlm`.
        tree: the composed configuration.

    Returns:
        The node is None for a key that a map does not have yet.

    Raises:
        NoSuchOptionError: there can be no such key.
    """
    node: Any = tree
    free = False
    names = key.split(".")
    for position, name in enumerate(names):
        where = ".".join(names[:position])
        node = _target(node, where, tree)
        stages = STAGE_WEIGHTING.fullmatch(where) is not None
        if not isinstance(node, DictConfig):
            hint = f"; write '{where}={{plugin: meta, {name}: ...}}'" if stages else ""
            raise NoSuchOptionError(
                f"{key}: {where} is a single value, without '{name}'{hint}", key
            )
        open_map = _is_map(node) or (stages and node._metadata.object_type is dict)
        free = free or open_map
        if name not in node:
            if where == "objectives":
                selected = ",".join([*map(str, node), name])
                raise NoSuchOptionError(
                    f"{key}: '{name}' is not selected; add it: 'objectives=[{selected}]'", key
                )
            # Hydra cannot add an entry that has options of its own, a stage for example.
            sections = is_dataclass(node._metadata.element_type)
            if not open_map or sections or position + 1 < len(names):
                known = suggest(name, map(str, node))
                if sections and "did you mean" not in known:
                    known += f"; add one with '{where}={{{name}: {{...}}}}'"
                raise NoSuchOptionError(f"{key}: no such option; {known}", key)
            return None, True
        node = node._get_node(name, validate_access=False)
    assert isinstance(node, Node)
    return node, free


def _target(node: Any, where: str, tree: DictConfig) -> Any:
    """Return the node that another one refers to."""
    if isinstance(node, Node) and node._is_interpolation():
        return OmegaConf.select(tree, where, throw_on_missing=False)
    return None if isinstance(node, DictConfig) and node._is_none() else node


def _is_map(node: DictConfig) -> bool:
    """Return whether a node was declared as `dict[...]`, not as a dataclass or in a YAML file."""
    return get_origin(node._metadata.ref_type) is dict
