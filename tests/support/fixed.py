"""A weighting with given weights."""

import torch
from torch import Tensor

from tartan import Needs, Signals, Weighting


class Fixed(Weighting):
    """Given weights, and any needs, so that the ways of the backward pass can be compared."""

    def __init__(self, needs: Needs, *weights: float) -> None:
        super().__init__(None, ())
        self.needs = needs  # type: ignore[misc]
        self._weights = torch.tensor(weights)

    def weights(self) -> Tensor:
        return self._weights

    def update(self, signals: Signals) -> None:
        pass
