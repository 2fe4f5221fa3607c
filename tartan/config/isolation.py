"""Hydra with a state of its own: a program that calls tartan may use Hydra itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from threading import RLock
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins as HydraPlugins
from hydra.core.singleton import Singleton
from hydra.version import VersionBase
from omegaconf.basecontainer import BaseContainer

OWN = (ConfigStore, GlobalHydra, HydraConfig, HydraPlugins, VersionBase)
"""The parts of Hydra's state that composing a configuration changes."""
_one_at_a_time = RLock()


@contextmanager
def own_hydra() -> Iterator[None]:
    """Through a block, use a Hydra that knows its own configurations only.

    Afterwards Hydra is as it was: its main configuration, the store of configurations, plugins,
    version and resolvers of the program around it. Other threads wait for their turn.
    """
    with _one_at_a_time:
        plugins = HydraPlugins.instance()  # plugins store configurations when they are found
        state: dict[type, Any] = Singleton._instances
        resolvers = BaseContainer._resolvers
        own = {cls: one for cls, one in state.items() if cls not in OWN}
        copied: Any = deepcopy(plugins)
        Singleton._instances = {**own, HydraPlugins: copied}
        ConfigStore.instance().repo = _hydras(state[ConfigStore])
        BaseContainer._resolvers = dict(resolvers)
        try:
            yield
        finally:
            Singleton._instances, BaseContainer._resolvers = state, resolvers


def _hydras(store: Any) -> dict[str, Any]:
    """Return copies of the configurations of Hydra itself in a store."""
    own = ("hydra", "_dummy_empty_config_.yaml")
    return {name: _copied(entry) for name, entry in store.repo.items() if name in own}


def _copied(entry: Any) -> Any:
    """Return a group with maps of its own; the configurations in it are never changed."""
    if not isinstance(entry, dict):
        return entry
    return {name: _copied(inner) for name, inner in entry.items()}
