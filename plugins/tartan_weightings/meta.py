"""META-TARTAN: weights that follow the dev gradient (Dery et al., ICLR 2022, section 3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from tartan import ConfigError, Needs, ProbeOptions, Signals, Weighting, hookimpl

LARGEST = 1e30
"""A logit at most, up or down."""


@dataclass
class MetaOptions:
    """Options of `meta`; the defaults are those of the paper's released scripts.

    Attributes:
        lr: learning rate of the logits.
        every: steps between two measurements; the steps between cost what `static` costs.
        similarity: `cosine`, as in the paper's code, or `dot`, the plain inner product.
        probe: how the dev gradient is taken.
    """

    lr: float = 1e-2
    every: int = 1
    similarity: str = "cosine"
    probe: ProbeOptions = field(default_factory=ProbeOptions)


class Meta(Weighting):
    """A softmax over one logit for each objective; a logit rises where its gradient helps dev."""

    Options = MetaOptions
    needs: ClassVar[Needs] = Needs.LOSSES | Needs.DEV

    def __init__(
        self, options: MetaOptions, objectives: tuple[str, ...], device: torch.device
    ) -> None:
        if options.similarity not in ("cosine", "dot"):
            raise ConfigError(
                f"weighting.similarity is '{options.similarity}': choose from cosine, dot"
            )
        if not 0 <= options.lr < float("inf"):
            raise ConfigError(f"weighting.lr is {options.lr}: give at least 0, and finite")
        if options.every < 1:
            raise ConfigError(f"weighting.every is {options.every}: give at least 1")
        self._options = options
        self._logits = torch.full((len(objectives),), 1 / len(objectives), device=device)

    @property
    def probe(self) -> ProbeOptions:
        """As the options say."""
        return self._options.probe

    def due(self, step: int) -> Needs:
        """The dev gradient on every `every`-th step, losses alone between."""
        return self.needs if step % self._options.every == 0 else Needs.LOSSES

    def weights(self) -> Tensor:
        """The softmax of the logits, [objectives]."""
        return self._logits.softmax(0)

    def update(self, signals: Signals) -> None:
        """Take one step of the logits where the step measured the dev gradient."""
        similarity = signals.alignment if self._options.similarity == "cosine" else signals.dev
        if similarity is not None:
            self._logits = ascend(self._logits, similarity, self._options.lr)

    def state_dict(self) -> dict[str, Tensor]:
        """The logits, [objectives]."""
        return {"logits": self._logits}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up the logits."""
        self._logits = state["logits"].to(self._logits)


def ascend(logits: Tensor, similarity: Tensor, lr: float) -> Tensor:
    """One step of the logits, [objectives], towards the objectives that help dev.

    An SGD step with weights w moves the body by -eta * sum_i w_i g_i, so the dev loss falls by
    eta * <g_dev, g_i> for each unit of w_i (equation 5). As in the released code, the softmax's
    own Jacobian is left out: logit_i += lr * similarity_i. Logits stay finite whatever is measured.
    """
    return (logits + lr * similarity.to(logits)).clamp(-LARGEST, LARGEST)


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `meta`."""
    return {"meta": Meta}
