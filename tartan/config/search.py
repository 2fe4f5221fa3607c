"""Configurations that plugins bring, for Hydra to find."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from tartan.plugins import discover


class PluginConfigs(SearchPathPlugin):
    """Adds the packages that plugins name by the hook `tartan_configs`."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append them, so that none hides a configuration of tartan's."""
        for package in discover().configs:
            search_path.append("tartan plugins", f"pkg://{package}")
