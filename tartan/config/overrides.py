"""Command-line overrides, checked before Hydra acts on them.

Hydra answers a misspelt name with a hint to add it, and an unknown option of a multi-select group
without the list of valid ones. Here each gets one line with the nearest valid name, before any
directory exists.
"""

from collections.abc import Iterable, Sequence
from typing import Any, get_origin

from hydra import compose, initialize_config_module
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tartan.config.parse import one_line
from tartan.errors import ConfigError, NoSuchOptionError, suggest


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
        multirun: whether several runs are asked for.

    Returns:
        The overrides as Hydra takes them: an entry of a map such as `weighting.weights` is new to
        it, and has to be forced.

    Raises:
        ConfigError: an unknown group option, an unknown key, a value of the wrong type, or what
            goes with several runs where there is one, or the other way round.
    """
    with initialize_config_module("tartan.configs", job_name="tartan", version_base="1.3"):
        further = [] if search is None else [f"hydra.searchpath=[file://{search}]"]
        loader = GlobalHydra.instance().config_loader()
        parsed = [_parse(text, loader) for text in overrides]
        _check_mode(parsed, multirun)
        groups = [override for override in parsed if override.key_or_group in _groups(loader)]
        for override in groups:
            _check_group(override, loader, searched=search is not None)
        tree = _compose(config_name, [*further, *map(_single, groups)])
        for override in parsed:
            ours = override not in groups and not override.key_or_group.startswith("hydra")
            if ours and _in_map(override.key_or_group, tree):
                override.type = OverrideType.FORCE_ADD
        _compose(config_name, [*further, *map(_single, parsed)])
        for swept in filter(Override.is_sweep_override, parsed):
            rest = [_single(override) for override in parsed if override is not swept]
            for value in _singles(swept)[1:]:
                _compose(config_name, [*further, *rest, value])
        return [_as_typed(override) for override in parsed]


def _parse(text: str, loader: ConfigLoader) -> Override:
    """One override. ConfigError if it is none."""
    try:
        return OverridesParser.create(config_loader=loader).parse_override(text)
    except HydraException as error:
        raise ConfigError(
            f"'{text}' is no override: write name=value, in quotes where the value has spaces "
            "or brackets"
        ) from error


def _groups(loader: ConfigLoader) -> set[str]:
    """The configuration groups."""
    return {group for group in loader.list_groups("") if group != "hydra"}


def _check_group(override: Override, loader: ConfigLoader, searched: bool) -> None:
    """ConfigError where a group's option does not exist."""
    group = override.key_or_group
    known = loader.get_group_options(group)
    for name in _choices(override):
        if name not in known and name is not None and not searched:
            raise ConfigError(f"{group}={name}: no such option; {suggest(str(name), known)}")


def _choices(override: Override) -> Iterable[Any]:
    """Every option that an override of a group selects, in any job of a sweep."""
    values = override.sweep_iterator() if override.is_sweep_override() else [override.value()]
    for value in values:
        yield from value if isinstance(value, list) else [value]


def _check_mode(overrides: Sequence[Override], multirun: bool) -> None:
    """ConfigError where an override belongs to the other of one run and several."""
    for override in overrides:
        if override.is_sweep_override() and not multirun:
            raise ConfigError(f"'{override.input_line}' is several runs: say run -m for them")
        if override.key_or_group == "run_dir" and multirun:
            raise ConfigError("run_dir is of one run: with -m, say hydra.sweep.dir")


def _single(override: Override) -> str:
    """The override, or the first of a sweep."""
    return _singles(override)[0]


def _singles(override: Override) -> list[str]:
    """The override, or all of a sweep."""
    if override.is_sweep_override():
        key = override.get_key_element()
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    return [_as_typed(override)]


def _as_typed(override: Override) -> str:
    """The override as it was typed, or forced."""
    text = str(override.input_line)
    return f"++{text.lstrip('+')}" if override.is_force_add() else text


def _in_map(key: str, tree: DictConfig) -> bool:
    """Whether a dotted key is, or is in, a map whose keys are free; ConfigError if it is nowhere.

    Args:
        key: `weighting.weights.mlm`.
        tree: the composed configuration.
    """
    node: Any = tree
    seen: list[str] = []
    for name in key.split("."):
        where = ".".join(seen)
        if not isinstance(node, DictConfig):
            raise NoSuchOptionError(f"{key}: {where} is a single value, without '{name}'", key)
        if name not in node:
            if where == "objectives":
                selected = ",".join([*map(str, node), name])
                raise NoSuchOptionError(
                    f"{key}: '{name}' is not selected; add it: 'objectives=[{selected}]'", key
                )
            if not _is_map(node):
                known = suggest(name, map(str, node))
                raise NoSuchOptionError(f"{key}: no such option; {known}", key)
            return True
        seen.append(name)
        node = OmegaConf.select(node, name, throw_on_missing=False)
    return isinstance(node, DictConfig) and _is_map(node)


def _is_map(node: DictConfig) -> bool:
    """Whether a node was declared as `dict[...]`, not as a dataclass or in a YAML file."""
    return get_origin(node._metadata.ref_type) is dict


def _compose(config_name: str, overrides: Sequence[str]) -> DictConfig:
    """Compose. ConfigError in one line where Hydra or OmegaConf refuses."""
    try:
        return compose(config_name, overrides=list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(one_line(error)) from error
