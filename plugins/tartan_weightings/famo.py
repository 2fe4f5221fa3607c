"""FAMO: all losses fall at the same rate, from losses alone (Liu et al., NeurIPS 2023)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tartan import Needs, Signals, Weighting, check_ranges, hookimpl

EPS = 1e-8
"""Smallest loss that counts."""
BETAS = (0.9, 0.999)
"""Adam's decay rates, torch's defaults as in the authors' code."""


@dataclass
class FAMOOptions:
    """Options of `famo`. `lr` is the authors'; their `weight_decay` is 0.01, in one study 0.001.

    Attributes:
        lr: learning rate of the logits, which Adam trains.
        weight_decay: their decay towards equal weights.
    """

    lr: float = 0.025
    weight_decay: float = 1e-3


class FAMO(Weighting):
    """Learned weights of log losses: an objective whose loss falls slowly counts more.

    With z the softmax of the logits and l the losses (algorithm 1), objective i counts

        w_i = c z_i / l_i,    c = 1 / sum_j (z_j / l_j)

    and Adam takes a step of the logits against the gradient J_z' (log l - log l'), where l' are the
    losses after the step. The authors run the same batch again for l'; here l' are the next step's
    losses, which cost nothing and are noisier. The l in w are the last step's.
    """

    Options = FAMOOptions
    needs: ClassVar[Needs] = Needs.LOSSES
    paper = "Liu et al., FAMO, NeurIPS 2023"
    use = "when all objectives matter alike and their losses differ in scale; it costs nothing"
    logits: Tensor
    losses: Tensor
    moments: Tensor
    steps: Tensor

    def __init__(self, options: FAMOOptions, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        check_ranges("weighting", options, lr="[0, inf)", weight_decay="[0, inf)")
        self._options = options
        count = len(objectives)
        self.register_buffer("logits", torch.zeros(count))
        self.register_buffer("losses", torch.ones(count))
        self.register_buffer("moments", torch.zeros(2, count))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def weights(self) -> Tensor:
        """Return the weights of the last step's losses, [objectives]; their sum is 1."""
        shares = self.logits.softmax(0) / self.losses
        return shares / shares.sum()

    def update(self, signals: Signals) -> None:
        """Take a step of the logits, from how the losses changed since the last step."""
        losses = signals.losses.to(self.losses)
        # 0 is the loss of a batch without items, as where no token was masked: the last one counts
        losses = torch.where(losses > 0, losses.clamp(min=EPS), self.losses)
        fall = self.losses.log() - losses.log()
        gradient = fall_gradient(self.logits, fall) + self._options.weight_decay * self.logits
        first = self.steps == 0  # there is no loss to compare with yet
        moments, step = adam(self.moments, gradient, self.steps)
        self.moments = torch.where(first, self.moments, moments)
        self.logits = torch.where(first, self.logits, self.logits - self._options.lr * step)
        self.losses = losses
        self.steps = self.steps + 1


def fall_gradient(logits: Tensor, fall: Tensor) -> Tensor:
    """Return the gradient of z'fall by the logits, z = softmax(logits): [objectives]."""
    shares = logits.softmax(0)
    return shares * (fall - shares @ fall)


def adam(moments: Tensor, gradient: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
    """Compute a step of Adam (Kingma and Ba, 2015, algorithm 1) for a learning rate of 1.

    Args:
        moments: [2, n] float, first and second moment.
        gradient: [n] float.
        number: [] int64, of the step, from 1.

    Returns:
        The new moments, and the step, [n].
    """
    first = torch.lerp(gradient, moments[0], BETAS[0])
    second = torch.lerp(gradient**2, moments[1], BETAS[1])
    unbiased = second / (1 - BETAS[1] ** number)
    return torch.stack([first, second]), first / (1 - BETAS[0] ** number) / (unbiased.sqrt() + EPS)


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `famo`."""
    return {"famo": FAMO}
