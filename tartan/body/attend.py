"""Scaled dot-product attention on a CPU, forward and backward as batched matrix products.

torch's fused kernel has no dropout there, and a slow backward in bf16 for short sequences; what it
does instead draws dropout number by number (benchmarks: docs/performance.md).
"""

from typing import Any

import torch
from torch import Tensor

from tartan.body.dropout import keep, scale

LONG = 512
"""From so many tokens on, torch's fused kernel is as fast in bf16, and holds no weights."""


def prefers_products(query: Tensor, dropout: float) -> bool:
    """Whether `attend` is the faster way for queries [sequences, heads, tokens, head_dim]."""
    if query.device.type != "cpu":
        return False
    return dropout > 0 or (query.dtype == torch.bfloat16 and query.shape[2] < LONG)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
) -> Tensor:
    """`torch.nn.functional.scaled_dot_product_attention` of CPU tensors.

    Args:
        query: [sequences, heads, tokens, head_dim] float.
        key: likewise.
        value: likewise.
        mask: bool that broadcasts to [sequences, heads, tokens, tokens], True where the row's token
            sees the column's; every token must see one. None where every token sees every other.
        dropout: probability that an attention weight is dropped.
        scaling: factor of the inner products; head_dim ** -0.5 when None.

    Returns:
        [sequences, heads, tokens, head_dim] float.
    """
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    attended: Tensor = _Attend.apply(  # type: ignore[no-untyped-call]
        query, key, value, mask, dropout, scaling
    )
    return attended


class _Attend(torch.autograd.Function):
    """Holds on to the attention weights, in the precision of the query, and to what was kept."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        dropout: float,
        scaling: float,
    ) -> Tensor:
        query, key, value = (states.contiguous() for states in (query, key, value))
        scores = (query @ key.mT).mul_(scaling)
        if mask is not None:
            scores.masked_fill_(~mask, float("-inf"))
        weights = scores.softmax(-1)
        kept, ctx.factor = None, 1.0
        if dropout:
            kept, ctx.factor = keep(tuple(weights.shape), dropout, weights.dtype)
        ctx.save_for_backward(query, key, value, weights, kept)
        ctx.scaling = scaling
        return _dropped(weights, kept, ctx.factor) @ value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, weights, kept = ctx.saved_tensors
        grad = grads[0].contiguous()
        grad_value = _dropped(weights, kept, ctx.factor).mT @ grad
        grad_weights = _dropped(grad @ value.mT, kept, ctx.factor)
        grad_scores = torch.ops.aten._softmax_backward_data(
            grad_weights, weights, -1, weights.dtype
        ).mul_(ctx.scaling)
        return grad_scores @ key, grad_scores.mT @ query, grad_value, None, None, None


def _dropped(weights: Tensor, kept: Tensor | None, factor: float) -> Tensor:
    """Weights after dropout; as they are where there is none."""
    return weights if kept is None else scale(weights, kept, factor)
