"""Configurations that plugins bring, for Hydra to find."""

from typing import ClassVar

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class PluginConfigs(SearchPathPlugin):
    """Adds the packages that plugins name by the hook `tartan_configs`.

    Attributes:
        places: the packages or directories; Hydra makes the instances, so that the class has them.
    """

    places: ClassVar[tuple[str, ...]] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append them, so that none hides a configuration of tartan's."""
        for place in self.places:
            search_path.append("tartan plugins", place)
