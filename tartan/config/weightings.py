"""The weightings of a run's stages, made from the configuration."""

from collections.abc import Mapping
from typing import Any

import torch

from tartan.config.parse import options
from tartan.errors import ConfigError, suggest
from tartan.plugins import Plugins
from tartan.weighting import Needs, ProbeOptions, Weighting

SPLITS = ("dev", "train")


class Weightings:
    """Makes the run's own weighting, and other plugins' with their defaults."""

    def __init__(self, section: Mapping[str, Any], plugins: Plugins, device: torch.device) -> None:
        self._section, self._plugins, self._device = section, plugins, device

    def make(self, plugin: str | None, objectives: tuple[str, ...]) -> Weighting:
        """A weighting of objectives; the run's own where no plugin is named."""
        values = {} if plugin else {k: v for k, v in self._section.items() if k != "plugin"}
        cls = self._plugins.weighting(plugin or self._section["plugin"])
        return cls(options(cls.Options, values, "weighting"), objectives, self._device)

    def probe(self, objectives: tuple[str, ...]) -> ProbeOptions | None:
        """How the run's own weighting takes the dev gradient; None where it takes none.

        Raises:
            ConfigError: an option of the probe has no meaning.
        """
        weighting = self.make(None, objectives)
        if Needs.DEV not in weighting.needs:
            return None
        probe = weighting.probe
        if probe.split not in SPLITS:
            raise ConfigError(
                f"weighting.probe.split={probe.split}: {suggest(probe.split, SPLITS)}"
            )
        if not 0 < probe.held_out < 1:
            raise ConfigError(
                f"weighting.probe.held_out={probe.held_out}: give a share between 0 and 1"
            )
        for name in ("steps", "fit_batch_size", "grad_batch_size"):
            if getattr(probe, name) < 1:
                raise ConfigError(f"weighting.probe.{name}={getattr(probe, name)}: give at least 1")
        return probe
