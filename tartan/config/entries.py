"""Configurations that Hydra takes from dataclasses: the entries of its store."""

from collections.abc import Iterable
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
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


def enter(entries: Iterable[Entry], places: Iterable[str]) -> None:
    """Give Hydra configurations.

    Args:
        entries: those that are dataclasses.
        places: where the YAML files of plugins are, as Hydra's search path names them.
    """
    PluginConfigs.places = tuple(places)
    HydraPlugins.instance().register(PluginConfigs)
    store = ConfigStore.instance()
    for each in entries:
        store.store(each.name, each.node, each.group, each.package, each.provider)
