"""What Hydra composes from besides configs/: the schema, and one configuration for each plugin.

A plugin's Options dataclass is its configuration, so that an installed plugin is chosen by name,
listed by --help and completed without a YAML file of its own.
"""

from dataclasses import field, make_dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tartan.config.schema import Config
from tartan.errors import PluginError
from tartan.objective import PrimaryObjective
from tartan.plugins import Plugins

OBJECTIVE_KEYS = ("plugin", "batch_size")
"""Keys of an objective's configuration that are not its plugin's options."""


def register(plugins: Plugins) -> None:
    """Make the schema and every usable plugin known to Hydra."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config, provider="tartan")
    for name, objective in plugins.objectives.items():
        node = objective_node(name, objective.cls.Options)
        primary = issubclass(objective.cls, PrimaryObjective)
        group, package = ("primary",) * 2 if primary else ("objectives", f"objectives.{name}")
        store.store(name, node, group, package, objective.distribution)
    for name, weighting in plugins.weightings.items():
        node = _node(name, weighting.cls.Options, [("plugin", str, name)])
        store.store(name, node, "weighting", "weighting", weighting.distribution)


def objective_node(name: str, options: type) -> type:
    """An objective's options with the keys every objective has."""
    batch_size = field(default="${batch_size}")
    return _node(name, options, [("plugin", str, name), ("batch_size", int, batch_size)])


def _node(name: str, options: type, keys: list[tuple[str, type, Any]]) -> type:
    """A dataclass of keys and options; PluginError if the options cannot be a configuration."""
    taken = {key for key, _, _ in keys} & set(getattr(options, "__dataclass_fields__", {}))
    if taken:
        raise PluginError(f"plugin '{name}' has an option named {taken.pop()}, which is tartan's")
    node = make_dataclass(f"{name}_config", keys, bases=(options,))
    try:
        OmegaConf.structured(node)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise PluginError(f"plugin '{name}' has options that Hydra cannot read: {reason}") from None
    return node
