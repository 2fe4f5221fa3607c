"""Gathers of distinct rows, whose gradient is a copy."""

from typing import Any

import torch
from torch import Tensor


def take(values: Tensor, indices: Tensor) -> Tensor:
    """Return rows of a tensor, each at most once.

    As `Tensor.index_select`, whose gradient adds rows up: on a GPU by atomic operations, in a
    varying order, and slower. Distinct rows can be copied.

    Args:
        values: [rows, ...] float.
        indices: [taken] int64, distinct.
    """
    taken: Tensor = _Take.apply(values, indices)  # type: ignore[no-untyped-call]
    return taken


class _Take(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, indices: Tensor) -> Tensor:
        ctx.save_for_backward(indices)
        ctx.shape = values.shape
        return values.index_select(0, indices)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (indices,) = ctx.saved_tensors
        return grads[0].new_zeros(ctx.shape).index_copy_(0, indices, grads[0]), None
