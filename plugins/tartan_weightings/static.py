"""Fixed weights: MT-TARTAN where all are equal (Dery et al., ICLR 2022, section 3.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from tartan import ConfigError, Needs, Signals, Weighting, hookimpl, suggest


@dataclass
class StaticOptions:
    """Options of `static`.

    Attributes:
        weights: each objective's weight by name, the primary's included; equal shares if empty.
    """

    weights: dict[str, float] = field(default_factory=dict)


class Static(Weighting):
    """Every objective counts 1 / (number of objectives), or what it is given."""

    Options = StaticOptions
    needs: ClassVar[Needs] = Needs.LOSSES

    def __init__(
        self, options: StaticOptions, objectives: tuple[str, ...], device: torch.device
    ) -> None:
        given = options.weights or dict.fromkeys(objectives, 1 / len(objectives))
        missing = [name for name in objectives if name not in given]
        unknown = sorted(given.keys() - set(objectives))
        # What a stage does not train may have a weight; a name that is nobody's leaves one missing.
        if missing and unknown:
            raise ConfigError(
                f"weighting.weights.{unknown[0]}: no such objective; "
                f"{suggest(unknown[0], objectives)}"
            )
        for name in objectives:
            if not 0 <= given.get(name, -1) < float("inf"):
                raise ConfigError(
                    f"weighting.weights.{name} is {given.get(name, 'missing')}: "
                    "give every objective a finite weight of at least 0, or none of them"
                )
        self._weights = torch.tensor([given[name] for name in objectives], device=device)

    def weights(self) -> Tensor:
        """The fixed weights, [objectives]."""
        return self._weights

    def update(self, signals: Signals) -> None:
        """Nothing to learn."""

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing changes in training."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to take up."""


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `static`."""
    return {"static": Static}
