"""What Hydra composes from besides configs/: the schema, and one configuration for each plugin.

A plugin's Options dataclass is its configuration, so that an installed plugin is chosen by name,
listed by --help and completed without a YAML file of its own.
"""

from collections.abc import Mapping
from dataclasses import field, make_dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins as HydraPlugins

from tartan.body import AutoOptions, TinyOptions
from tartan.config.schema import Config
from tartan.config.search import PluginConfigs
from tartan.data.sources import SOURCES
from tartan.objective import PrimaryObjective
from tartan.plugins import Plugins

AUXILIARY = "{}_aux"
"""What the command line calls an objective on labels that is not the end task."""


MODELS: Mapping[str, type[TinyOptions | AutoOptions]] = {"auto": AutoOptions, "tiny": TinyOptions}
"""The options of each `model.kind`."""
Key = tuple[str, Any, Any]
"""A key of a configuration: name, type, default."""


def register(plugins: Plugins) -> None:
    """Make the schema, every usable plugin and what plugins bring known to Hydra."""
    HydraPlugins.instance().register(PluginConfigs)
    store = ConfigStore.instance()
    store.store(name="schema", node=Config, provider="tartan")
    for name, objective in plugins.objectives.items():
        on_labels = issubclass(objective.cls, PrimaryObjective)
        if on_labels:
            node = objective_node(name, objective.cls.Options)
            store.store(name, node, "primary", "primary", objective.distribution)
        auxiliary = AUXILIARY.format(name) if on_labels else name
        node = objective_node(name, objective.cls.Options, data=on_labels)
        place = "objectives", f"objectives.{auxiliary}"
        store.store(auxiliary, node, *place, objective.distribution)
    for name, source in SOURCES.items():
        keys: list[Key] = [("source", str, name), ("metric", str | None, None)]
        store.store(name, _node(name, source.options, keys), "data", "data", "tartan")
    for name, kind in MODELS.items():
        store.store(name, kind, "model/kind", provider="tartan")
    for name, weighting in plugins.weightings.items():
        node = _node(name, weighting.cls.Options, [("plugin", str, name)])
        store.store(name, node, "weighting", "weighting", weighting.distribution)


def objective_node(name: str, options: type, data: bool = False) -> type:
    """An objective's options with the keys every objective has, and `data` if it has its own."""
    keys: list[Key] = [
        ("plugin", str, name),
        ("batch_size", int, field(default="${batch_size}")),
    ]
    if data:
        keys.append(("data", dict[str, Any], field(default_factory=dict)))
    return _node(name, options, keys)


def _node(name: str, options: type, keys: list[Key]) -> type:
    """A dataclass of keys, which come first, and options."""
    return make_dataclass(f"{name}_config", [], bases=(options, make_dataclass("Keys", keys)))
