"""Configurations that Hydra takes from dataclasses: schema, plugins, data sources, models.

The options of a plugin, a data source or a kind of model are defined once, in its dataclass.
That is its configuration: it is chosen by name, listed by --help and completed without a YAML file.
The YAML files in configs/ are presets on top.
"""

from collections.abc import Mapping
from dataclasses import field, fields, make_dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins as HydraPlugins

from tartan.body import AutoOptions, TinyOptions
from tartan.config.schema import Config
from tartan.config.search import PluginConfigs
from tartan.data.labelled import LabelledOptions
from tartan.data.sources import SOURCES
from tartan.objective import Objective, PrimaryObjective
from tartan.plugins import Plugin, Plugins
from tartan.train.scale import LossScale

AUXILIARY = "{}_aux"
"""Name on the command line of an objective on labels that is not the end task."""
MODELS: Mapping[str, type[TinyOptions | AutoOptions]] = {"auto": AutoOptions, "tiny": TinyOptions}
"""The options of each `model.kind`."""
Key = tuple[str, Any, Any]
"""A key of a configuration: name, type, default."""


def register(plugins: Plugins) -> None:
    """Register the schema, sources, models, and every usable plugin with Hydra."""
    HydraPlugins.instance().register(PluginConfigs)
    store = ConfigStore.instance()
    store.store(name="schema", node=Config, provider="tartan")
    for name, source in SOURCES.items():
        store.store(name, _source_node(name, source.options), "data", "data", "tartan")
    for name, kind in MODELS.items():
        store.store(name, kind, "model/kind", provider="tartan")
    for name, objective in plugins.objectives.items():
        _register_objective(name, objective)
    for name, weighting in plugins.weightings.items():
        node = _node(name, weighting.cls.Options, [("plugin", str, name)])
        store.store(name, node, "weighting", "weighting", weighting.distribution)


def _register_objective(name: str, objective: Plugin[Objective]) -> None:
    """Register an objective as auxiliary and, if it reads labels, as an end task."""
    store, options = ConfigStore.instance(), objective.cls.Options
    on_labels = issubclass(objective.cls, PrimaryObjective)
    if on_labels:
        node = objective_node(name, options)
        store.store(name, node, "primary", "primary", objective.distribution)
    auxiliary = AUXILIARY.format(name) if on_labels else name
    node = objective_node(name, options, data=on_labels)
    place = "objectives", f"objectives.{auxiliary}"
    store.store(auxiliary, node, *place, objective.distribution)


def objective_node(name: str, options: type, data: bool = False) -> type:
    """Make the configuration of an objective: its options and the keys of all objectives."""
    keys: list[Key] = [
        ("plugin", str, name),
        ("batch_size", int, field(default="${batch_size}")),
        ("scale", float, LossScale.scale),
        ("schedule", str, LossScale.schedule),
    ]
    if data:
        keys.append(("data", dict[str, Any], field(default_factory=dict)))
    return _node(name, options, keys)


def _source_node(name: str, options: type) -> type:
    """Make the configuration of a data source: its options and the keys of all sources."""
    keys: list[Key] = [("source", str, name), ("metric", str | None, None)]
    keys += [(each.name, each.type, each.default) for each in fields(LabelledOptions)]
    return _node(name, options, keys)


def _node(name: str, options: type, keys: list[Key]) -> type:
    """Make a dataclass of keys, which come first, and options."""
    return make_dataclass(f"{name}_config", [], bases=(options, make_dataclass("Keys", keys)))
