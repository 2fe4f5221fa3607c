"""Configurations that Hydra takes from dataclasses: schema, plugins, data sources, models.

The options of a plugin, a data source or a kind of model are defined once, in its dataclass.
That is its configuration: it is chosen by name, listed by --help and completed without a YAML file.
The YAML files in configs/ are presets on top.
"""

from collections.abc import Iterator, Mapping
from dataclasses import field, make_dataclass
from typing import Any

from tartan.body import AutoOptions, TinyOptions
from tartan.config.choices import Missing
from tartan.config.entries import Entry, enter, search
from tartan.config.options_help import HELP
from tartan.config.schema import Config
from tartan.data.label_subset import LabelledOptions
from tartan.data.sources import SOURCES
from tartan.objective import Objective, PrimaryObjective
from tartan.plugins import Plugin, Plugins
from tartan.train.objective_scale import ObjectiveScale

AUXILIARY = "{}_aux"
"""Name on the command line of an objective on labels that is not the end task."""
MODELS: Mapping[str, type[TinyOptions | AutoOptions]] = {"auto": AutoOptions, "tiny": TinyOptions}
"""The options of each `model.kind`."""
Key = tuple[str, Any, Any]
"""A key of a configuration: name, type, default."""
KEYS: Mapping[str, str] = {
    "plugin": "the plugin, whose options are in the same section",
    "batch_size": "rows in a micro-batch",
    "max_tokens": "the most tokens in a micro-batch, instead of a number of rows; null for rows",
    "scale": "what the loss is multiplied by",
    "schedule": "how scale changes over a stage: `constant`, `linear` or `cosine` (towards 0), "
    "`linear_up` or `cosine_up` (from 0)",
    "data": "data of its own, `dir` or `name` for example, where it is not the end task's",
    "source": "the kind of source, whose options are in the same section",
    "metric": "the data's customary metric",
}
"""What the keys mean that tartan adds to a plugin's or source's options."""


def register(plugins: Plugins) -> None:
    """Register the schema, sources, models, and every usable plugin with Hydra."""
    Missing.commands = plugins.missing
    search(f"pkg://{package}" for package in plugins.configs)
    enter(entries(plugins))


def entries(plugins: Plugins) -> Iterator[Entry]:
    """Return every configuration that is a dataclass."""
    yield Entry("schema", Config)
    for name, source in SOURCES.items():
        yield Entry(name, _source_node(name, source.options), "data", "data")
    for name, kind in MODELS.items():
        yield Entry(name, kind, "model/kind")
    for name, objective in plugins.objectives.items():
        yield from _objective(name, objective)
    for name, weighting in plugins.weightings.items():
        node = _node(name, weighting.cls.Options, [("plugin", str, name)])
        yield Entry(name, node, "weighting", "weighting", weighting.distribution)


def _objective(name: str, objective: Plugin[Objective]) -> Iterator[Entry]:
    """Return an objective as auxiliary and, if it reads labels, as an end task."""
    options = objective.cls.Options
    on_labels = issubclass(objective.cls, PrimaryObjective)
    if on_labels:
        node = objective_node(name, options)
        yield Entry(name, node, "primary", "primary", objective.distribution)
    auxiliary = AUXILIARY.format(name) if on_labels else name
    node = objective_node(name, options, data=on_labels)
    place = "objectives", f"objectives.{auxiliary}"
    yield Entry(auxiliary, node, *place, objective.distribution)


def objective_node(name: str, options: type, *, data: bool = False) -> type:
    """Make the configuration of an objective: its options and the keys of all objectives."""
    keys: list[Key] = [
        ("plugin", str, name),
        ("batch_size", int, "${batch_size}"),
        ("max_tokens", int | None, None),
        ("scale", float, ObjectiveScale.scale),
        ("schedule", str, ObjectiveScale.schedule),
    ]
    if data:
        keys.append(("data", dict[str, Any], dict))
    return _node(name, options, keys)


def _source_node(name: str, options: type) -> type:
    """Make the configuration of a data source: its options and the keys of all sources."""
    keys: list[Key] = [("source", str, name), ("metric", str | None, None)]
    return _node(name, options, keys, LabelledOptions)


def _node(name: str, options: type, keys: list[Key], *more: type) -> type:
    """Make a dataclass of keys, which come first, options of other dataclasses, and options."""
    first = make_dataclass("Keys", [_key(*each) for each in keys])
    return make_dataclass(f"{name}_config", [], bases=(options, *more, first))


def _key(name: str, kind: Any, default: Any) -> Key:
    """Return a key with its help."""
    meant: dict[str, Any] = {"default_factory" if default is dict else "default": default}
    return name, kind, field(**meant, metadata={HELP: KEYS[name]})
