"""The objectives' sections of a configuration: where each of them is, and what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tartan.config.parse import options
from tartan.config.schema import Config
from tartan.errors import ConfigError
from tartan.objective import Objective, PrimaryObjective
from tartan.plugins import RESERVED, Plugins

PRIMARY = "primary"
"""The end task's section."""


@dataclass(frozen=True)
class Section:
    """One objective's part of the configuration.

    Attributes:
        name: the objective's in this run.
        where: the option that holds the section: `primary`, or `objectives.mlm`.
        values: `plugin`, `batch_size`, `max_tokens`, `scale`, `schedule`, the plugin's options, and
            `data` where it is an auxiliary objective on labels.
    """

    name: str
    where: str
    values: Mapping[str, Any]

    @property
    def plugin(self) -> str:
        """The name of the objective's plugin."""
        return str(self.values["plugin"])

    @property
    def batch_size(self) -> int:
        """The rows of a micro-batch."""
        size: int = self.values["batch_size"]
        return size

    @property
    def max_tokens(self) -> int | None:
        """The most tokens of a micro-batch, where these limit it instead of rows."""
        most: int | None = self.values.get("max_tokens")
        return most

    def options(self, cls: type[Objective]) -> Any:
        """Return the plugin's options, of its class. ConfigError if one is not valid."""
        own = {key: value for key, value in self.values.items() if key not in RESERVED}
        return options(cls.Options, own, self.where)


def sections_of(config: Config) -> tuple[Section, ...]:
    """Return the sections of all objectives, the primary's first.

    Raises:
        ConfigError: an auxiliary objective's section is none.
    """
    for name, its in config.objectives.items():
        if not isinstance(its, Mapping) or "plugin" not in its:
            raise ConfigError(
                f"objectives.{name} is not the section of an objective, which has a plugin: a file "
                "in the group objectives begins with the line '# @package objectives.NAME'"
            )
    return (
        Section(str(config.primary["plugin"]), PRIMARY, config.primary),
        *(Section(name, f"objectives.{name}", its) for name, its in config.objectives.items()),
    )


def end_task_class(plugin: str, plugins: Plugins) -> type[PrimaryObjective]:
    """Return the class of the end task. PluginError or ConfigError if the plugin cannot be one."""
    cls = plugins.objective(plugin)
    if not issubclass(cls, PrimaryObjective):
        raise ConfigError(
            f"primary={plugin} cannot be the end task: it predicts nothing. "
            "Choose classification, multilabel, regression or tokens"
        )
    return cls


def all_factors(sections: Sequence[Section], plugins: Plugins) -> dict[str, Mapping[str, str]]:
    """Return what each objective is composed of, by name."""
    found: dict[str, Mapping[str, str]] = {}
    for section in sections:
        cls = plugins.objective(section.plugin)
        found[section.name] = cls.factors(section.options(cls))
    return found
