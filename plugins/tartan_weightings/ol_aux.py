"""OL-AUX: auxiliary weights learned online from inner products (Lin et al., NeurIPS 2019)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tartan import GramianWeighting, Needs, Signals, Weighting, check_ranges, hookimpl

LARGEST = 1e6
"""Largest weight, and largest sum of inner products."""


@dataclass
class OLAUXOptions:
    """Options of `ol_aux`.

    Attributes:
        lr: learning rate of the weights. Inner products have the square of a gradient's unit, so a
            good value depends on the model.
        horizon: steps whose inner products are added up before the weights move (the paper's N).
        initial: an auxiliary's weight at the start.
    """

    lr: float = 1e-2
    horizon: int = 5
    initial: float = 1.0


class OLAUX(GramianWeighting):
    """An auxiliary's weight rises while its gradient points the way of the end task's.

    A step with weights w moves the body by -(g_0 + sum_i w_i g_i), so the end task's loss falls by
    <g_0, g_i> for each unit of w_i. Every N steps (equation 7 and algorithm 1),

        w_0 = 1,    w_i = max(0, w_i + lr * sum over the last N steps of <g_0, g_i>)

    The paper's weights may be negative; here an auxiliary that hurts counts 0.
    """

    Options = OLAUXOptions
    needs: ClassVar[Needs] = Needs.LOSSES | Needs.GRADIENTS
    paper = "Lin et al., Adaptive auxiliary task weighting, NeurIPS 2019"
    use = "when the end task's training loss is a good guide and runs are long"
    end_task_first = True
    total: Tensor
    steps: Tensor

    def __init__(self, options: OLAUXOptions, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        check_ranges("weighting", options, lr="[0, inf)", initial="[0, inf)", horizon="[1, inf)")
        self._options = options
        count = len(objectives)
        self.last = torch.tensor([1.0] + [options.initial] * (count - 1))
        self.register_buffer("total", torch.zeros(count))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def combine(self, signals: Signals) -> Tensor:  # noqa: ARG002
        """Return the weights, which the step's gradients do not change yet: [objectives]."""
        return self.last

    def update(self, signals: Signals) -> None:
        """Add the inner products; every `horizon` steps, move the weights."""
        assert signals.gramian is not None  # it is in `needs`
        total = (self.total + signals.gramian[0].to(self.total)).clamp(-LARGEST, LARGEST)
        self.steps = self.steps + 1
        due = self.steps % self._options.horizon == 0
        self.last = torch.where(due, ascend(self.last, total, self._options.lr), self.last)
        self.total = torch.where(due, 0, total)


def ascend(weights: Tensor, inner: Tensor, lr: float) -> Tensor:
    """Return w_i + lr * inner_i, at least 0, with the first weight unchanged: [objectives]."""
    moved = (weights + lr * inner).clamp(0, LARGEST)
    return torch.cat([weights[:1], moved[1:]])


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `ol_aux`."""
    return {"ol_aux": OLAUX}
