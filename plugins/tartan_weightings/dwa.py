"""Dynamic weight average: more weight where the loss falls slowly (Liu et al., CVPR 2019)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tartan import Needs, Signals, Weighting, check_ranges, hookimpl

LARGEST = 1e3
"""Largest ratio of two mean losses that counts."""


@dataclass
class DWAOptions:
    """Options of `dwa`.

    Attributes:
        temperature: T: the larger, the more equal the weights; the paper's value is 2.
        every: steps whose mean losses are compared; in the paper, those of an epoch.
    """

    temperature: float = 2.0
    every: int = 100


class DWA(Weighting):
    """Weights follow the ratio of each objective's last two mean losses.

    With L_k(t) the mean loss of objective k over the t-th block of `every` steps (equation 7),

        w_k = K exp(r_k / T) / sum_i exp(r_i / T),    r_k = L_k(t-1) / L_k(t-2)

    for K objectives. All count 1 in the first two blocks.
    """

    Options = DWAOptions
    needs: ClassVar[Needs] = Needs.LOSSES
    paper = "Liu et al., End-to-end multi-task learning with attention, CVPR 2019"
    use = "when all objectives matter alike and some learn more slowly; it costs nothing"
    current: Tensor
    past: Tensor
    steps: Tensor

    def __init__(self, options: DWAOptions, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        check_ranges("weighting", options, temperature="(0, inf)", every="[1, inf)")
        self._options = options
        self.register_buffer("current", torch.zeros(len(objectives)))
        self.register_buffer("past", torch.zeros(2, len(objectives)))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def weights(self) -> Tensor:
        """Return the weights of the last two blocks' mean losses, [objectives]; their sum is K."""
        weights = average(self.past[0], self.past[1], self._options.temperature)
        return torch.where(self.steps >= 2 * self._options.every, weights, 1)

    def update(self, signals: Signals) -> None:
        """Add the losses to the current block's; at its end, compare again."""
        self.steps = self.steps + 1
        current = self.current + signals.losses.to(self.current) / self._options.every
        over = self.steps % self._options.every == 0
        self.past = torch.where(over, torch.stack([self.past[1], current]), self.past)
        self.current = torch.where(over, 0, current)


def average(older: Tensor, newer: Tensor, temperature: float) -> Tensor:
    """Return K softmax(newer / older / T), [objectives], of two blocks' mean losses.

    A ratio is 1 where the older loss is 0.
    """
    ratios = torch.where(older != 0, newer / torch.where(older != 0, older, 1), 1)
    return len(older) * (ratios.clamp(-LARGEST, LARGEST) / temperature).softmax(0)


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `dwa`."""
    return {"dwa": DWA}
