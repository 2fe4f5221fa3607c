"""The weightings of a run's stages, made from the configuration."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tartan.config.parse import options, placed
from tartan.errors import ConfigError, PluginError
from tartan.plugins import Plugins
from tartan.sizes import counted
from tartan.train.schedule import StageOptions
from tartan.weighting import Needs, ProbeOptions, Weighting, samples

OWN = "weighting"
"""The run's own section."""


class Weightings:
    """Makes each stage's weighting: the run's own, or one that the stage configures."""

    def __init__(
        self,
        section: Mapping[str, Any],
        plugins: Plugins,
        device: torch.device,
        factors: Mapping[str, Mapping[str, str]],
    ) -> None:
        """Store what weightings are made from; `factors` are those of the run's objectives."""
        self._section, self._plugins, self._device = section, plugins, device
        self._factors = factors

    def section(self, chosen: Any, where: str) -> dict[str, Any]:
        """Return `plugin` and the options that a stage's `weighting` stands for.

        Args:
            chosen: None for the run's own, a plugin's name, or a map of `plugin` and its options.
            where: its dotted name, for errors.
        """
        if chosen is None:
            return dict(self._section)
        if isinstance(chosen, str):
            return {"plugin": chosen}
        if not isinstance(chosen, Mapping) or not isinstance(chosen.get("plugin"), str):
            raise ConfigError(
                f"{where} is {chosen}: give a weighting's name, or a map such as "
                "{plugin: meta, lr: 0.1}"
            )
        return dict(chosen)

    def make(self, chosen: Any, objectives: tuple[str, ...], where: str = OWN) -> Weighting:
        """Make the weighting of some objectives, a primary first; arguments as in `section`.

        Raises:
            ConfigError: an option cannot be used.
            PluginError: there is no such plugin.
        """
        section = self.section(chosen, where)
        values = {key: value for key, value in section.items() if key != "plugin"}
        cls = self._plugins.weighting(section["plugin"])
        if len(objectives) < cls.fewest:
            raise ConfigError(
                f"{where}: {section['plugin']} weighs at least {cls.fewest} objectives, and here "
                f"{counted(len(objectives), 'objective')} would be trained "
                f"({', '.join(objectives)}): choose weighting=static there"
            )
        with placed(OWN, where):
            made: Weighting = cls(options(cls.Options, values, OWN), objectives)
        made.describe({name: self._factors.get(name, {}) for name in objectives})
        if stray := [n for n, v in made.state_dict().items() if not isinstance(v, Tensor)]:
            raise PluginError(
                f"weighting={section['plugin']} keeps state that is not a tensor "
                f"({', '.join(stray)}), which no checkpoint can hold: its code has to "
                "keep it in a buffer (register_buffer)"
            )
        return made.to(self._device)

    def probes(
        self, stages: Mapping[str, StageOptions], names: tuple[str, ...]
    ) -> dict[str, ProbeOptions]:
        """Make every stage's weighting, and return how those that need the dev gradient take it.

        Args:
            stages: the schedule.
            names: the run's objectives, the primary first.

        Raises:
            ConfigError: a weighting cannot be made, or two hold out different shares.
        """
        found: dict[str, ProbeOptions] = {}
        for name, stage in stages.items():
            where = OWN if stage.weighting is None else f"schedule.stages.{name}.weighting"
            trained = stage.select(names)
            made = self.make(stage.weighting, trained, where)
            _check_first(made, name, trained, names[0])
            if Needs.DEV in made.needs:
                found[name] = made.probe
        shares = {probe.held_out for probe in found.values() if probe.split == "train"}
        if len(shares) > 1:
            listed = ", ".join(f"{share:g}" for share in sorted(shares))
            raise ConfigError(
                f"weighting.probe.held_out differs between stages ({listed}): give all the same"
            )
        return found


def _check_first(weighting: Weighting, stage: str, trained: tuple[str, ...], primary: str) -> None:
    """ConfigError where an auxiliary objective would have the end task's part of a rule.

    Weightings that follow the dev gradient have the end task in it, whatever a stage trains.
    """
    kind = type(weighting)
    first = samples(kind) or (weighting.end_task_first and Needs.DEV not in weighting.needs)
    if first and primary not in trained and len(trained) > 1:
        what = "computes the end task in every step" if samples(kind) else "puts the end task first"
        raise ConfigError(
            f"schedule.stages.{stage} does not train the end task, but only "
            f"{', '.join(trained)}, and its weighting {what}: give "
            f"schedule.stages.{stage}.weighting=static, or another that treats all alike"
        )
