"""What a contract is: rules that a plugin promises to keep, each a test that needs nothing else.

Contracts raise and never `assert`, so that they hold under `python -O`; and they say "not
applicable" by the standard library's `SkipTest`, so that they run where pytest is not installed.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar
from unittest import SkipTest

from tartan.config.parse import options
from tartan.errors import ConfigError

UNKNOWN = "no_plugin_has_an_option_of_this_name"


class Broken(AssertionError):  # noqa: N818, what is broken is the promise
    """A promise that a plugin does not keep; its text says what the plugin did."""


class NotApplicable(SkipTest):
    """A promise that a plugin does not give, or that cannot be tried here; its text says why."""


def require(kept: bool, found: str) -> None:
    """Broken unless a promise was kept; `found` says what the plugin did."""
    if not kept:
        raise Broken(found)


@dataclass(frozen=True)
class Rule:
    """One rule of a contract.

    Attributes:
        name: its method's.
        promise: what it promises, its docstring in one line.
    """

    name: str
    promise: str


class Contract:
    """Rules for one plugin: every method `test_...`, its docstring the promise.

    Attributes:
        plugin: the name of an installed plugin.
        options: those of the plugin's options that are not to have their defaults.
    """

    plugin: ClassVar[str] = ""
    options: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    @classmethod
    def rules(cls) -> list[Rule]:
        """The rules in the order they are written in, those of a subclass last."""
        names = {name: None for base in reversed(cls.__mro__) for name in vars(base)}
        methods = {name: getattr(cls, name) for name in names if name.startswith("test_")}
        return [
            Rule(name, " ".join((inspect.getdoc(method) or name).split()))
            for name, method in methods.items()
        ]

    @classmethod
    def kind(cls) -> str:
        """What it is a contract for: `objective` or `weighting`."""
        raise NotImplementedError

    @classmethod
    def plugin_class(cls) -> Any:
        """The class under contract. PluginError if no plugin has the name."""
        raise NotImplementedError

    @classmethod
    def parsed(cls) -> Any:
        """The plugin's options, as a run would make them. ConfigError if it refuses them."""
        return options(cls.plugin_class().Options, cls.options, cls.plugin or "options")

    def test_options_are_strict(self) -> None:
        """Every option has a default, and an option that does not exist is refused."""
        schema = self.plugin_class().Options
        try:
            options(schema, {}, "options")
        except ConfigError as error:
            raise Broken(f"{schema.__name__} cannot be made without values: {error}") from error
        try:
            options(schema, {UNKNOWN: 1}, "options")
        except ConfigError:
            return
        raise Broken(f"{schema.__name__} takes an option called {UNKNOWN}")
