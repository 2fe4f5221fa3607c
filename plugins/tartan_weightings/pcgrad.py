"""PCGrad: gradients without the parts that conflict with others (Yu et al., NeurIPS 2020)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tartan import GramianWeighting, Needs, Signals, Weighting, hookimpl, send


@dataclass
class PCGradOptions:
    """`pcgrad` has no options."""


class PCGrad(GramianWeighting):
    """Each gradient is projected off those that it conflicts with; the projections are added.

    For each i, starting from d_i = g_i, and for the other j in a random order (algorithm 1),

        d_i -= min(0, <d_i, g_j>) / |g_j|^2 * g_j

    and the update is the sum of the d_i. Every d_i is a combination of gradients, so the update is
    too; its coefficients are the weights.
    """

    Options = PCGradOptions
    needs: ClassVar[Needs] = Needs.LOSSES | Needs.GRADIENTS
    paper = "Yu et al., Gradient surgery for multi-task learning, NeurIPS 2020"
    use = "when all objectives matter alike and their gradients conflict"

    def combine(self, signals: Signals) -> Tensor:
        """Return the coefficients of the projected gradients' sum, [objectives]."""
        gramian = signals.gramian
        assert gramian is not None  # it is in `needs`
        count = len(gramian)
        orders = torch.rand(count, count, generator=signals.generator).argsort(1)
        return project(gramian, send(orders, gramian.device))


def project(gramian: Tensor, orders: Tensor) -> Tensor:
    """Return the coefficients of the projected gradients' sum, [objectives] float.

    Args:
        gramian: [objectives, objectives] float.
        orders: [objectives, objectives] int64; row i is the order in which gradient i meets the
            gradients. Its own index in it has no effect.
    """
    indices = torch.arange(len(gramian), device=gramian.device)
    tiny = torch.finfo(gramian.dtype).tiny
    squares = gramian.diagonal().clamp(min=tiny)
    coefficients = torch.eye(len(gramian), dtype=gramian.dtype, device=gramian.device)
    for other in orders.unbind(1):
        inner = (coefficients * gramian.index_select(0, other)).sum(1)
        conflict = torch.where(other == indices, 0, inner.clamp(max=0))
        removed = conflict / squares.index_select(0, other)
        coefficients = coefficients.scatter_add(1, other[:, None], -removed[:, None])
    return coefficients.sum(0)


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `pcgrad`."""
    return {"pcgrad": PCGrad}
