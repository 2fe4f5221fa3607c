"""Fixed weights: MT-TARTAN where all are equal (Dery et al., ICLR 2022, section 3.1)."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from tartan import ConfigError, Needs, Weighting, hookimpl, suggest


@dataclass
class StaticOptions:
    """Options of `static`.

    Attributes:
        weights: each objective's weight by name, the primary's included; equal shares if empty.
            In each stage, at least one objective that it trains has a weight above 0.
    """

    weights: dict[str, float] = field(default_factory=dict)


class Static(Weighting):
    """Every objective counts 1 / (number of objectives), or the weight given for it."""

    Options = StaticOptions
    needs: ClassVar[Needs] = Needs.LOSSES
    paper = "Dery et al., Should we be pre-training?, ICLR 2022"
    use = "first of all: equal weights cost nothing and are hard to beat"
    _weights: Tensor

    def __init__(self, options: StaticOptions, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        given = options.weights or dict.fromkeys(objectives, 1 / len(objectives))
        missing = [name for name in objectives if name not in given]
        unknown = sorted(given.keys() - set(objectives))
        # A weight may name an objective of another stage; a misspelt name leaves one missing.
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
        if not any(given[name] for name in objectives):
            raise ConfigError(
                f"weighting.weights are all 0 for {', '.join(objectives)}: give at least one "
                "objective that is trained a weight above 0"
            )
        values = torch.tensor([given[name] for name in objectives])
        self.register_buffer("_weights", values, persistent=False)  # the options say them

    def weights(self) -> Tensor:
        """Return the fixed weights, [objectives]."""
        return self._weights


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `static`."""
    return {"static": Static}
