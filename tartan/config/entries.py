"""Configurations that Hydra takes from dataclasses: the entries of its store."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.plugins import Plugins as HydraPlugins

from tartan.config.search import PluginConfigs


@dataclass(frozen=True)
class Entry:
    """A dataclass that is a configuration.

    Attributes:
        name: its name on the command line: `mlm`.
        node: the dataclass.
        group: the group that it is an option of: `objectives`; None for a configuration by itself.
        package: where it is in a run's configuration: `objectives.mlm`.
        provider: the distribution that it comes from.
    """

    name: str
    node: type
    group: str | None = None
    package: str | None = None
    provider: str = "tartan"


def search(places: Iterable[str]) -> None:
    """Have Hydra find the YAML files of plugins in places, as its search path names them."""
    PluginConfigs.places = tuple(places)
    HydraPlugins.instance().register(PluginConfigs)


def enter(entries: Iterable[Entry]) -> None:
    """Have Hydra's store hold configurations."""
    store = ConfigStore.instance()
    for each in entries:
        store.store(each.name, each.node, each.group, each.package, each.provider)


def registered(group: str) -> dict[str, type]:
    """Return the dataclasses in Hydra's store by name: those of a group, or without one, `""`."""
    found: Any = ConfigStore.instance().repo
    for name in filter(None, group.split("/")):
        found = found.get(name, {})
    return {
        name.removesuffix(".yaml"): entry.node._metadata.object_type
        for name, entry in found.items()
        if isinstance(entry, ConfigNode)
    }


def _itself(store: ConfigStore, _: dict[int, Any]) -> ConfigStore:
    """Return the store in place of a copy: there is one, and it copies what it gives away."""
    return store


# Hydra copies the store several times for each configuration, a third of the time it takes.
ConfigStore.__deepcopy__ = _itself  # type: ignore[attr-defined]
