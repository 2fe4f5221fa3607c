"""The weightings of a run's stages, made from the configuration."""

from collections.abc import Mapping
from typing import Any

import torch

from tartan.config.parse import options
from tartan.plugins import Plugins
from tartan.weighting import Needs, ProbeOptions, Weighting


class Weightings:
    """Makes the run's own weighting, and other plugins' with their defaults."""

    def __init__(self, section: Mapping[str, Any], plugins: Plugins, device: torch.device) -> None:
        self._section, self._plugins, self._device = section, plugins, device

    def make(self, plugin: str | None, objectives: tuple[str, ...]) -> Weighting:
        """A weighting of objectives; the run's own where no plugin is named."""
        values = {} if plugin else {k: v for k, v in self._section.items() if k != "plugin"}
        cls = self._plugins.weighting(plugin or self._section["plugin"])
        made: Weighting = cls(options(cls.Options, values, "weighting"), objectives)
        return made.to(self._device)

    def probe(self, objectives: tuple[str, ...]) -> ProbeOptions | None:
        """How the run's own weighting takes the dev gradient; None where it takes none."""
        weighting = self.make(None, objectives)
        return weighting.probe if Needs.DEV in weighting.needs else None
