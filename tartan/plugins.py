"""Plugins: hook specs, discovery, blame, look-up.

A distribution provides objectives and weightings through the entry-point group `tartan`: each entry
point names a module whose functions, marked `@tartan.hookimpl`, answer the hooks below. A broken
plugin does not affect the others: it becomes a `Problem` that names its distribution.
"""

import importlib.metadata
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache, partial
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import pluggy
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tartan.errors import PluginError, suggest, with_type
from tartan.objective import Objective, PrimaryObjective, calls_body, scores_states
from tartan.weighting import Weighting

T = TypeVar("T")
GROUP = "tartan"
RESERVED = ("plugin", "batch_size", "max_tokens", "scale", "schedule", "data")
"""Keys of a plugin's part of a configuration that are not its options."""
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Hooks:
    """The hooks that a plugin module may implement."""

    @hookspec
    def tartan_objectives(self) -> Mapping[str, type[Objective]]:  # type: ignore[empty-body]
        """Objectives by name; a name is lower-case letters, digits and underscores."""

    @hookspec
    def tartan_weightings(self) -> Mapping[str, type[Weighting]]:  # type: ignore[empty-body]
        """Weightings by name; a name is lower-case letters, digits and underscores."""

    @hookspec
    def tartan_configs(self) -> str:  # type: ignore[empty-body]
        """A package of Hydra configurations: named variants of the plugins, in their groups."""

    @hookspec
    def tartan_missing(self) -> Mapping[str, str]:  # type: ignore[empty-body]
        """Commands that install what further plugins need, by the beginning of their names."""


@dataclass(frozen=True)
class Plugin(Generic[T]):
    """One objective or weighting, and where it comes from.

    Attributes:
        name: what a configuration calls it.
        cls: its class.
        distribution: the installed distribution and its version, `tartan 0.1.0`.
    """

    name: str
    cls: type[T]
    distribution: str


@dataclass(frozen=True)
class Problem:
    """A plugin, or a name, that cannot be used, and why.

    Attributes:
        distribution: the distribution that it comes from.
        reason: what is wrong, in one line.
    """

    distribution: str
    reason: str

    def __str__(self) -> str:
        """Return one line that names the distribution."""
        return f"{self.distribution}: {self.reason}"


class Shelf(Generic[T]):
    """The plugins of one kind, by name. A name that two plugins claim is used by neither."""

    def __init__(self, kind: str, claims: Iterable[Plugin[T]]) -> None:
        self.kind = kind
        self._claims: dict[str, list[Plugin[T]]] = {}
        for claim in claims:
            self._claims.setdefault(claim.name, []).append(claim)

    @property
    def plugins(self) -> dict[str, Plugin[T]]:
        """Return the usable plugins by name."""
        return {n: claims[0] for n, claims in sorted(self._claims.items()) if len(claims) == 1}

    @property
    def collisions(self) -> list[Problem]:
        """Return one problem for each name that several plugins claim."""
        return [
            Problem(
                " and ".join(claim.distribution for claim in claims),
                f"both provide the {self.kind} '{name}', so neither can be used: uninstall one",
            )
            for name, claims in sorted(self._claims.items())
            if len(claims) > 1
        ]

    def find(self, name: str, problems: Iterable[Problem], remedy: str | None = None) -> Plugin[T]:
        """Return the plugin with this name. PluginError if it is unknown, or claimed twice."""
        claims = self._claims.get(name, [])
        if len(claims) == 1:
            return claims[0]
        if claims:
            raise PluginError(
                f"the {self.kind} '{name}' is provided by both "
                f"{' and '.join(claim.distribution for claim in claims)}: uninstall one"
            )
        broken = "".join(f" (broken plugin: {problem})" for problem in problems)
        raise PluginError(
            f"no {self.kind} '{name}' is installed: {remedy or suggest(name, self.plugins)}{broken}"
        )


class Plugins:
    """Every installed objective and weighting, and what is wrong with the rest.

    Attributes:
        configs: packages of Hydra configurations that plugins bring.
        missing: by the beginning of plugins' names, the command that installs what they need.
    """

    def __init__(
        self,
        objectives: Iterable[Plugin[Objective]],
        weightings: Iterable[Plugin[Weighting]],
        problems: Iterable[Problem],
        configs: Iterable[str] = (),
        missing: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._objectives = Shelf("objective", objectives)
        self._weightings = Shelf("weighting", weightings)
        self._broken = tuple(problems)
        self.configs, self.missing = tuple(configs), dict(missing)

    @property
    def objectives(self) -> dict[str, Plugin[Objective]]:
        """Return usable objectives by name."""
        return self._objectives.plugins

    @property
    def weightings(self) -> dict[str, Plugin[Weighting]]:
        """Return usable weightings by name."""
        return self._weightings.plugins

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what cannot be used, and why."""
        return (*self._broken, *self._objectives.collisions, *self._weightings.collisions)

    def objective(self, name: str) -> type[Objective]:
        """Return an objective's class. PluginError if it is unknown, or claimed twice."""
        return self._objectives.find(name, self._broken, self.remedy(name)).cls

    def weighting(self, name: str) -> type[Weighting]:
        """Return a weighting's class. PluginError if it is unknown, or claimed twice."""
        return self._weightings.find(name, self._broken, self.remedy(name)).cls

    def remedy(self, name: str) -> str | None:
        """Return what to do to have a plugin that is not installed; None if it is not known."""
        commands = [c for prefix, c in self.missing.items() if name.startswith(prefix)]
        return f"install it by {commands[0]}" if commands else None


@cache
def discover() -> Plugins:
    """Load every entry point of the group `tartan`, each on its own."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(Hooks)
    distributions: dict[object, str] = {}
    problems: list[Problem] = []
    for point in importlib.metadata.entry_points(group=GROUP):
        distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
        try:
            distributions[_register(manager, point)] = distribution
        except Exception as error:
            # Code of others may raise anything; the other plugins must still load.
            problems.append(
                Problem(distribution, f"plugin '{point.name}' failed: {with_type(error)}")
            )

    def answers(hook: pluggy.HookCaller, read: Callable[[Any, str], Iterable[T]]) -> list[T]:
        return _collect(hook, distributions, problems, read)

    objectives: list[Plugin[Objective]] = answers(
        manager.hook.tartan_objectives, partial(_provided, base=Objective, group="objectives")
    )
    weightings: list[Plugin[Weighting]] = answers(
        manager.hook.tartan_weightings, partial(_provided, base=Weighting, group="weighting")
    )
    end_tasks = [each.name for each in objectives if issubclass(each.cls, PrimaryObjective)]
    taken = {
        "primary": end_tasks,
        "objectives": [*(each.name for each in objectives), *(f"{name}_aux" for name in end_tasks)],
        "weighting": [each.name for each in weightings],
    }
    configs = answers(manager.hook.tartan_configs, partial(_package, taken=taken))
    missing = answers(manager.hook.tartan_missing, _commands)
    return Plugins(objectives, weightings, problems, configs, dict(missing))


def _register(manager: pluggy.PluginManager, point: importlib.metadata.EntryPoint) -> object:
    """Load and register one entry point; no hook, or a misspelt one, takes it out and raises."""
    plugin = point.load()
    manager.register(plugin)
    try:
        manager.check_pending()
        if not manager.get_hookcallers(plugin):
            raise TypeError(
                f"{point.value} has no hook: mark its functions with @tartan.hookimpl; the entry "
                "point names the module that has them"
            )
    except (pluggy.PluginValidationError, TypeError):
        manager.unregister(plugin)
        raise
    return plugin


def _collect(
    hook: pluggy.HookCaller,
    distributions: Mapping[object, str],
    problems: list[Problem],
    read: Callable[[Any, str], Iterable[T]],
) -> list[T]:
    """Return what plugins answer to a hook; an answer that cannot be used becomes a problem.

    Args:
        hook: the hook.
        distributions: by plugin.
        problems: gets what is found.
        read: turns an answer, and the distribution that gives it, into what is returned.
    """
    found: list[T] = []
    for implementation in hook.get_hookimpls():
        distribution = distributions[implementation.plugin]
        try:
            found.extend(read(implementation.function(), distribution))
        except Exception as error:
            problems.append(Problem(distribution, f"hook '{hook.name}' failed: {with_type(error)}"))
    return found


def _provided(
    classes: Mapping[str, type[T]], distribution: str, base: type, group: str
) -> Iterator[Plugin[T]]:
    """Return plugins of a base, of a group of configurations. TypeError at one that is none."""
    for name, cls in classes.items():
        _check(name, cls, base)
        _check_free(name, group)
        yield Plugin(name, cls, distribution)


def _package(package: object, _: str, taken: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Return a package of configurations. ValueError where a file has the name of a plugin.

    Args:
        package: its name.
        taken: the names of plugins, by group.
    """
    place = files(str(package))
    for group, names in taken.items():
        for name in names:
            if (place / group / f"{name}.yaml").is_file():
                raise ValueError(f"{group}/{name}.yaml has the name of a plugin: give it another")
    yield str(package)


def _commands(commands: Mapping[object, object], _: str) -> list[tuple[str, str]]:
    """Return the commands that install plugins, by the beginning of their names."""
    return [(str(beginning), str(command)) for beginning, command in commands.items()]


def _check(name: str, cls: object, base: type) -> None:
    """TypeError unless a name and class can serve as a plugin of the base's kind."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise TypeError(f"gives the name '{name}': use lower-case letters, digits and underscores")
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise TypeError(f"gives '{name}', which is not a subclass of tartan.{base.__name__}")
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        raise TypeError(f"gives '{name}', which lacks {missing}")
    if issubclass(cls, Objective) and not (scores_states(cls) or calls_body(cls)):
        raise TypeError(f"gives '{name}', which lacks loss")
    _check_options(name, getattr(cls, "Options", None))


def _check_free(name: str, group: str) -> None:
    """TypeError where tartan's own configurations use a name for something else."""
    auxiliary = group == "objectives" and name.endswith("_aux")
    if auxiliary or (files("tartan.configs") / group / f"{name}.yaml").is_file():
        raise TypeError(f"gives '{name}', which names a configuration of tartan's own")


def _check_options(name: str, options: object) -> None:
    """TypeError unless a class can be read as a plugin's part of a configuration."""
    if not (isinstance(options, type) and is_dataclass(options)):
        raise TypeError(f"gives '{name}', whose Options is not a dataclass")
    if options.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise TypeError(f"gives '{name}', whose Options is frozen, so that no option can be set")
    for option in fields(options):
        if option.name in RESERVED:
            raise TypeError(f"gives '{name}', whose option {option.name} is tartan's own name")
        if option.default is MISSING and option.default_factory is MISSING:
            raise TypeError(f"gives '{name}', whose option {option.name} has no default")
    try:
        OmegaConf.structured(options)
    except OmegaConfBaseException as error:
        raise TypeError(f"gives '{name}', whose Options Hydra cannot read: {error}") from error
