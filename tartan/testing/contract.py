"""The base class of contracts: rules that a plugin has to keep, each a test of its own.

Contracts raise instead of using `assert`, so that they also work under `python -O`. A rule that
does not apply raises the standard library's `SkipTest`, so that pytest is not needed.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar
from unittest import SkipTest

from tartan.config.parse import options
from tartan.errors import ConfigError
from tartan.testing.remedies import REMEDIES

UNKNOWN = "no_plugin_has_an_option_of_this_name"


class Broken(AssertionError):  # noqa: N818, the rule is broken
    """Raised for a rule that a plugin breaks; the text says how."""


class NotApplicable(SkipTest):
    """Raised for a rule that does not apply to a plugin or to this machine; the text says why."""


def require(kept: bool, reason: str) -> None:
    """Raise Broken with a reason unless a rule is kept."""
    if not kept:
        raise Broken(reason)


@dataclass(frozen=True)
class Rule:
    """One rule of a contract.

    Attributes:
        name: the name of its method.
        promise: the docstring of its method, in one line.
        remedy: what to do where it is broken; empty for rules that a plugin's author adds.
    """

    name: str
    promise: str
    remedy: str = ""


class Contract:
    """Rules for one plugin. Every method `test_...` is a rule, stated by its docstring.

    Attributes:
        plugin: the name of an installed plugin.
        options: values of the plugin's options that differ from the defaults.
    """

    plugin: ClassVar[str] = ""
    options: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    @classmethod
    def rules(cls) -> list[Rule]:
        """Return the rules in the order of the source, those of a subclass last."""
        names = {name: None for base in reversed(cls.__mro__) for name in vars(base)}
        methods = {name: getattr(cls, name) for name in names if name.startswith("test_")}
        methods = {name: method for name, method in methods.items() if method is not None}
        return [
            Rule(
                name,
                " ".join((inspect.getdoc(method) or name).split()),
                REMEDIES.get(name, ""),
            )
            for name, method in methods.items()
        ]

    @classmethod
    def kind(cls) -> str:
        """Return the kind of plugin that it tests: `objective` or `weighting`."""
        raise NotImplementedError

    @classmethod
    def plugin_class(cls) -> Any:
        """Return the class to test. PluginError if no plugin has the name."""
        raise NotImplementedError

    @classmethod
    def parsed(cls) -> Any:
        """Return the plugin's options as a run creates them. ConfigError if they are invalid."""
        return options(cls.plugin_class().Options, cls.options, cls.plugin or "options")

    def test_options_are_strict(self) -> None:
        """Every option has a default, and an option that does not exist is refused."""
        schema = self.plugin_class().Options
        try:
            options(schema, {}, "options")
        except ConfigError as error:
            raise Broken(f"{schema.__name__} cannot be created without values: {error}") from error
        try:
            options(schema, {UNKNOWN: 1}, "options")
        except ConfigError:
            return
        raise Broken(f"{schema.__name__} accepts an option named {UNKNOWN}")
