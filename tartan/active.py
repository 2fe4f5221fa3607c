"""Steps that compute some of the objectives only: their indices, and signals over all of them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from tartan.packed import send
from tartan.weighting import Signals


class Active:
    """The objectives that a step computes, by their indices among all that a weighting weighs.

    Signals of the others are 0.
    """

    def __init__(self, indices: Sequence[int], objectives: int, device: torch.device) -> None:
        self._indices = send(torch.tensor(indices, dtype=torch.int64), device)
        self._objectives = objectives

    @cached_property
    def mask(self) -> Tensor:
        """[objectives] bool: whether a step computes each."""
        mask = torch.zeros(self._objectives, dtype=torch.bool, device=self._indices.device)
        return mask.index_fill(0, self._indices, value=True)

    def of(self, values: Tensor) -> Tensor:
        """Return the values [active, ...] of these objectives from those of all."""
        return values.index_select(0, self._indices)

    def spread(self, values: Tensor) -> Tensor:
        """Return values of all objectives, [objectives, ...], from those of these; others are 0."""
        zeros = values.new_zeros(self._objectives, *values.shape[1:])
        return zeros.index_copy(0, self._indices, values)

    def signals(self, measured: Signals) -> Signals:
        """Return signals over all objectives from those over these."""
        gramian, norms, dev = measured.gramian, measured.norms, measured.dev
        return replace(
            measured,
            losses=self.spread(measured.losses),
            weights=self.spread(measured.weights),
            norms=None if norms is None else self.spread(norms),
            gramian=None if gramian is None else self.spread(self.spread(gramian).T).T,
            dev=None if dev is None else self.spread(dev),
            active=self.mask,
        )
