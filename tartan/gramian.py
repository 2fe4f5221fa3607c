"""Weightings that compute each step's weights from the step's own gradients."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from tartan.weighting import Signals, Weighting


class GramianWeighting(Weighting):
    """A weighting whose `combine` returns a step's weights; it keeps those of the last step.

    A subclass sets `needs` to a combination with GRADIENTS and overrides `combine`.
    """

    last: Tensor

    def __init__(self, options: Any, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        count = len(objectives)
        self.register_buffer("last", torch.full((count,), 1 / count))

    def weights(self) -> Tensor:
        """Return the last step's weights, [objectives]; equal shares before the first step."""
        return self.last

    @abstractmethod
    def combine(self, signals: Signals) -> Tensor:
        """Return the weights of the step just measured, [objectives] float."""

    def update(self, signals: Signals) -> None:
        """Keep the step's weights."""
        self.last = signals.weights.to(self.last)


def cosines(gramian: Tensor) -> Tensor:
    """Return the cosines of gradients, 0 where one is zero.

    Args:
        gramian: [objectives, objectives] float, the gradients' inner products.
    """
    norms = gramian.diagonal().clamp(min=0).sqrt()
    scale = torch.outer(norms, norms)
    cosine = gramian / scale.clamp_min(torch.finfo(scale.dtype).tiny)
    return torch.where(scale > 0, cosine, 0).clamp(-1, 1)  # rounding may lead beyond
