"""Composes configurations with Hydra; what cannot be composed is one line."""

from collections.abc import Sequence
from functools import cache, cached_property

from hydra import compose, initialize_config_module
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from tartan.config.choices import choose
from tartan.config.explain import broken_file, one_line, wrong_value
from tartan.config.interpolations import check_interpolations
from tartan.config.typed_text import value_of
from tartan.config.values import searchpath
from tartan.errors import ConfigError


def parse_override(text: str, loader: ConfigLoader | None = None) -> Override:
    """Return an override as Hydra reads it. ConfigError if it is not one."""
    loader = loader or GlobalHydra.instance().config_loader()
    try:
        return OverridesParser.create(config_loader=loader).parse_override(text)
    except HydraException as error:
        maps = ', and a map with a space after each colon, {a: 1, "another key": 2}'
        raise ConfigError(
            f"'{text}' is not an override: write name=value, in quotes where the value has spaces "
            f"or brackets{maps if '={' in text else ''}"
        ) from error


def composing() -> "initialize_config_module":
    """Return the context in which tartan's configurations are composed."""
    return initialize_config_module("tartan.configs", job_name="tartan", version_base="1.3")


class Composer:
    """Composes a configuration with overrides, inside Hydra's context."""

    def __init__(self, name: str, search: str | None) -> None:
        self._name, self._search = name, search
        self._loader = GlobalHydra.instance().config_loader()
        self._groups = {group for group in self._loader.list_groups("") if group != "hydra"}

    def compose(self, overrides: Sequence[str], hydra: bool = False) -> DictConfig:
        """Return a composed configuration. ConfigError where it cannot be composed."""
        further = searchpath(self._search)
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
        for text in overrides:
            group = text.lstrip("+~").partition("=")[0].partition("@")[0]
            if group not in self._groups:
                continue
            override = parse_override(text, self._loader)
            if group == "study" and group not in self._selected:
                raise ConfigError(f"'{text}' belongs to a study: use `python -m tartan study`")
            known = self._loader.get_group_options(group)
            found[text] = choose(override, known, self._selected, any_name=self._search is not None)
        return found

    @cached_property
    def _selected(self) -> set[str]:
        """Return the groups of which the configuration has an option."""
        return _own_groups(self._name) if self._search is None else self.groups()

    def groups(self) -> set[str]:
        """Compose the configuration, and return the groups of which it has an option."""
        return {"objectives", *self.compose([], hydra=True).hydra.runtime.choices}

    def check(self, overrides: Sequence[Override], tree: DictConfig) -> None:
        """ConfigError where a run cannot be composed of overrides; with a sweep, any of its runs.

        Args:
            overrides: all of them.
            tree: the configuration with nothing but the choices of groups.
        """
        self._try([single(override) for override in overrides], tree)
        for swept in filter(Override.is_sweep_override, overrides):
            rest = [single(override) for override in overrides if override is not swept]
            for value in singles(swept)[1:]:
                self._try([*rest, value], tree)

    def _try(self, overrides: Sequence[str], tree: DictConfig) -> None:
        """Compose, and resolve what is composed. ConfigError that says what to type instead."""
        try:
            composed = self.compose(overrides)
        except ConfigError as error:
            key = getattr(getattr(error.__cause__, "__cause__", None), "full_key", None)
            for position, text in enumerate(overrides, 1):
                name, _, value = text.lstrip("+").partition("=")
                value = value_of(text) if value[:1] in ("'", '"') else value
                if name != key or self._composes(overrides[:position]):
                    continue
                if line := wrong_value(name, value, tree):
                    raise ConfigError(line) from error
            raise
        check_interpolations(composed)

    def _composes(self, overrides: Sequence[str]) -> bool:
        """Return whether a configuration can be composed with overrides."""
        try:
            self.compose(overrides)
        except ConfigError:
            return False
        return True


@cache
def _own_groups(name: str) -> set[str]:
    """Return the groups of one of tartan's own configurations."""
    return Composer(name, None).groups()


def single(override: Override) -> str:
    """Return an override, or the first of a sweep."""
    return singles(override)[0]


def singles(override: Override) -> list[str]:
    """Return an override, or all of a sweep; of an interval, its ends."""
    if isinstance(interval := override._value, IntervalSweep):
        key = override.get_key_element()
        return [f"{key}={interval.start}", f"{key}={interval.end}"]
    if override.is_sweep_override():
        key = override.get_key_element()
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    return [str(override.input_line)]
