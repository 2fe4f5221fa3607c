"""META-TARTAN: weights that follow the dev gradient (Dery et al., ICLR 2022, section 3.2)."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from tartan import (
    ConfigError,
    Needs,
    ProbeOptions,
    Signals,
    Weighting,
    bounded_logits,
    check_choice,
    check_ranges,
    hookimpl,
)

SIMILARITIES = ("cosine", "dot")
LARGEST = 1e30
"""Largest absolute value of a logit before the spread is bounded, so that none overflows."""
TRAVEL = 22.0
"""How far a logit moves in a run at a cosine of 1. At a mean difference of 0.1 between the cosines
of two objectives, their weights end at 0.9 and 0.1."""


@dataclass
class MetaOptions:
    """Options of `meta`; the defaults are those of the paper's released scripts, except `spread`.

    Attributes:
        lr: learning rate of the logits; null for 22 divided by the number of measurements, so that
            weights can differ as much after few steps as after many.
        every: steps between two measurements; the steps between cost what `static` costs.
        similarity: `cosine`, as in the paper's code, or `dot`, the plain inner product.
        spread: largest difference of two logits: no objective counts less than exp(-spread) times
            the one that counts most (6: 1/403), so that a weight can recover. The released code has
            no bound.
        probe: how the dev gradient is taken.
    """

    lr: float | None = 1e-2
    every: int = 1
    similarity: str = "cosine"
    spread: float = 6.0
    probe: ProbeOptions = field(default_factory=ProbeOptions)


class Meta(Weighting):
    """A softmax over one logit for each objective; a logit rises where its gradient helps dev."""

    Options = MetaOptions
    needs: ClassVar[Needs] = Needs.LOSSES | Needs.DEV
    paper = "Dery et al., Should we be pre-training?, ICLR 2022"
    use = "when it is not known which auxiliaries help the end task; the method of the paper"
    end_task_first = True
    share_lr = "lr"
    logits: Tensor

    def __init__(self, options: MetaOptions, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        check_choice("weighting.similarity", options.similarity, SIMILARITIES)
        check_ranges("weighting", options, lr="[0, inf) or null", every="[1, inf)")
        # The softmax of a difference of 88 is 0 in float32.
        check_ranges("weighting", options, spread="(0, 80]")
        self._options, self._lr = options, options.lr
        self.register_buffer("logits", torch.full((len(objectives),), 1 / len(objectives)))

    @property
    def probe(self) -> ProbeOptions:
        """The options' probe."""
        return self._options.probe

    def due(self, step: int) -> Needs:
        """Measure the dev gradient in every `every`-th step, losses alone between."""
        return self.needs if step % self._options.every == 0 else Needs.LOSSES

    def budget(self, steps: int) -> None:
        """Choose the learning rate by the number of measurements, unless it is an option."""
        if self._options.lr is None:
            self._lr = TRAVEL / max(1, math.ceil(steps / self._options.every))

    def weights(self) -> Tensor:
        """Return the softmax of the logits, [objectives]."""
        return self.logits.softmax(0)

    def update(self, signals: Signals) -> None:
        """Take one step of the logits if the step measured the dev gradient.

        Raises:
            ConfigError: the learning rate depends on the number of steps, which is not known.
        """
        if self._lr is None:
            raise ConfigError("weighting.lr is null: call budget(steps) before the first update")
        similarity = signals.alignment if self._options.similarity == "cosine" else signals.dev
        if similarity is not None:
            logits = ascend(self.logits, similarity, self._lr)
            self.logits = bounded_logits(logits, self._options.spread)


def ascend(logits: Tensor, similarity: Tensor, lr: float) -> Tensor:
    """Take one step of the logits, [objectives], towards the objectives that help dev.

    An SGD step with weights w moves the body by -eta * sum_i w_i g_i, so the dev loss falls by
    eta * <g_dev, g_i> for each unit of w_i (equation 5). As in the released code, the softmax's
    own Jacobian is left out: logit_i += lr * similarity_i. Logits stay finite.
    """
    return (logits + lr * similarity.to(logits)).clamp(-LARGEST, LARGEST)


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `meta`."""
    return {"meta": Meta}
