"""Command-line overrides, checked before Hydra acts on them.

Hydra answers a misspelt name with a hint to add it, and an unknown option of a multi-select group
without the list of valid ones. Here each gets one line with the nearest valid name, before any
directory exists.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_origin

from hydra import compose, initialize_config_module
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, Node, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tartan.config.choices import choose
from tartan.config.explain import broken_file, one_line, wrong_value
from tartan.config.interpolations import check_interpolations
from tartan.config.typed_text import as_typed
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
    with initialize_config_module("tartan.configs", job_name="tartan", version_base="1.3"):
        composer = _Composer(config_name, search)
        chosen = composer.choose(overrides)
        groups = [parse_override(text) for text in chosen.values()]
        _check_mode(groups, multirun)
        tree = composer.compose([_single(override) for override in groups])
        accepted = [
            chosen[text] if text in chosen else _shape(as_typed(text, tree, multirun), tree)
            for text in overrides
        ]
        parsed = [parse_override(text) for text in accepted]
        _check_mode(parsed, multirun)
        composer.check(parsed, tree)
        return accepted


def parse_override(text: str, loader: ConfigLoader | None = None) -> Override:
    """Return an override as Hydra reads it. ConfigError if it is not one."""
    loader = loader or GlobalHydra.instance().config_loader()
    try:
        return OverridesParser.create(config_loader=loader).parse_override(text)
    except HydraException as error:
        raise ConfigError(
            f"'{text}' is not an override: write name=value, in quotes where the value has spaces "
            "or brackets"
        ) from error


class _Composer:
    """Composes a configuration with overrides, inside Hydra's context."""

    def __init__(self, name: str, search: str | None) -> None:
        self._name, self._search = name, search
        self._loader = GlobalHydra.instance().config_loader()
        self._groups = {group for group in self._loader.list_groups("") if group != "hydra"}

    def compose(self, overrides: Sequence[str], hydra: bool = False) -> DictConfig:
        """Return a composed configuration. ConfigError where it cannot be composed."""
        further = [] if self._search is None else [f"hydra.searchpath=[file://{self._search}]"]
        try:
            return compose(self._name, [*further, *overrides], return_hydra_config=hydra)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(one_line(error)) from error
        # Hydra lets pass what YAML and Python raise for files that are broken.
        except Exception as error:
            raise ConfigError(broken_file(self._search) or one_line(error)) from error

    def choose(self, overrides: Sequence[str]) -> dict[str, str]:
        """Return the overrides that choose an option of a group, as typed and as Hydra takes them.

        Raises:
            ConfigError: a choice that cannot be made.
        """
        found = {}
        selected = {"objectives", *self.compose([], hydra=True).hydra.runtime.choices}
        for text in overrides:
            group = text.lstrip("+~").partition("=")[0].partition("@")[0]
            if group not in self._groups:
                continue
            override = parse_override(text, self._loader)
            if group == "study" and group not in selected:
                raise ConfigError(f"'{text}' belongs to a study: use `python -m tartan study`")
            known = self._loader.get_group_options(group)
            found[text] = choose(override, known, selected, any_name=self._search is not None)
        return found

    def check(self, overrides: Sequence[Override], tree: DictConfig) -> None:
        """ConfigError where a run cannot be composed of overrides; with a sweep, any of its runs.

        Args:
            overrides: all of them.
            tree: the configuration with nothing but the choices of groups.
        """
        self._try([_single(override) for override in overrides], tree)
        for swept in filter(Override.is_sweep_override, overrides):
            rest = [_single(override) for override in overrides if override is not swept]
            for value in _singles(swept)[1:]:
                self._try([*rest, value], tree)

    def _try(self, overrides: Sequence[str], tree: DictConfig) -> None:
        """Compose, and resolve what is composed. ConfigError that says what to type instead."""
        try:
            composed = self.compose(overrides)
        except ConfigError as error:
            key = getattr(getattr(error.__cause__, "__cause__", None), "full_key", None)
            for text in overrides:
                name, _, value = text.lstrip("+").partition("=")
                if name == key and (line := wrong_value(name, value, tree)):
                    raise ConfigError(line) from error
            raise
        check_interpolations(composed)


def _check_mode(overrides: Sequence[Override], multirun: bool) -> None:
    """ConfigError where an override belongs to the other of one run and several."""
    for override in overrides:
        if override.is_sweep_override() and not multirun:
            raise ConfigError(f"'{override.input_line}' is several runs: add -m to start them")
        if override.key_or_group == "run_dir" and multirun:
            raise ConfigError("run_dir belongs to a single run: with -m, give hydra.sweep.dir")


def _single(override: Override) -> str:
    """Return an override, or the first of a sweep."""
    return _singles(override)[0]


def _singles(override: Override) -> list[str]:
    """Return an override, or all of a sweep."""
    if override.is_sweep_override():
        key = override.get_key_element()
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    return [str(override.input_line)]


def _shape(text: str, tree: DictConfig) -> str:
    """Return an override of an option in the form that Hydra needs.

    Args:
        text: the override.
        tree: the configuration it changes.

    Raises:
        ConfigError: the option does not exist, cannot be removed, or exists and is added.
    """
    override = parse_override(text)
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
        if not isinstance(node, DictConfig):
            raise NoSuchOptionError(f"{key}: {where} is a single value, without '{name}'", key)
        free = free or _is_map(node)
        if name not in node:
            if where == "objectives":
                selected = ",".join([*map(str, node), name])
                raise NoSuchOptionError(
                    f"{key}: '{name}' is not selected; add it: 'objectives=[{selected}]'", key
                )
            if not _is_map(node):
                known = suggest(name, map(str, node))
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
