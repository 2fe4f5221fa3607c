"""Scaled dot-product attention on a CPU as batched matrix products, forward and backward.

torch's fused kernel has no dropout on a CPU and a slow backward pass in bf16 for short sequences;
its fallback draws dropout number by number. Here one autograd function computes all buckets of a
layer, so that a bucket costs little beside its arithmetic (benchmarks: docs/performance.md).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tartan.body.kernels.buckets import ByHead
from tartan.body.kernels.dropout import keep, scale
from tartan.body.kernels.layout import Layout

LONG = 512
"""Tokens of a sequence from which torch's fused kernel is used in bf16: slower, but it stores no
attention weights."""


def prefers_products(query: Tensor, key: Tensor, layout: Layout, dropout: float) -> bool:
    """Return True if `by_products` can compute this and is fastest; arguments as in `Kernel`."""
    if query.device.type != "cpu" or query.shape != key.shape:
        return False
    return dropout > 0 or (query.dtype == torch.bfloat16 and layout.longest < LONG)


def by_products(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    window: int | None = None,
) -> Tensor:
    """Attend as `Kernel` says, on a CPU, if keys and queries have the same number of heads.

    The result is 0 for tokens beyond those of the layout.
    """
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    by_head, biases = layout.by_head(query.shape[1]), layout.biases(query.dtype, window)
    attended: Tensor = _Attend.apply(  # type: ignore[no-untyped-call]
        query * scaling, key, value, by_head, biases, dropout
    )
    return attended


class _Attend(torch.autograd.Function):
    """Attention of scaled queries. It saves the weights, in their precision, and dropout's masks.

    The products of each bucket are written to their place among the rows of all buckets.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        layout: ByHead,
        biases: Sequence[Tensor | None],
        dropout: float,
    ) -> Tensor:
        rows = [
            states.flatten(0, 1).index_select(0, layout.index) for states in (query, key, value)
        ]
        attended = torch.empty_like(rows[2])
        weights: list[Tensor] = []
        kept: list[Tensor | None] = []
        ctx.factor = 1.0
        for q, k, v, out, bias in zip(*map(layout.split, (*rows, attended)), biases, strict=True):
            weights.append(_weights(q, k, bias, layout.heads))
            drawn = None
            if dropout:
                drawn, ctx.factor = keep(tuple(weights[-1].shape), dropout, q.dtype)
            kept.append(drawn)
            torch.bmm(_dropped(weights[-1], drawn, ctx.factor), v, out=out)
        ctx.save_for_backward(*rows, *weights, *kept)
        ctx.layout = layout
        return _tokens(attended, layout, len(query))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        layout, tokens = ctx.layout, len(grads[0])
        (*rows, weights, kept) = _unsaved(ctx.saved_tensors, len(layout.buckets.groups))
        received = _rows_of_gradient(grads[0], layout)
        given = [torch.empty_like(part) for part in rows]
        parts = zip(*map(layout.split, (*rows, received, *given)), weights, kept, strict=True)
        for q, k, v, grad, grad_q, grad_k, grad_v, weight, drawn in parts:
            torch.bmm(_dropped(weight, drawn, ctx.factor).mT, grad, out=grad_v)
            grad_weight = _dropped(torch.bmm(grad, v.mT), drawn, ctx.factor)
            grad_scores = torch.ops.aten._softmax_backward_data(
                grad_weight, weight, -1, weight.dtype
            )
            torch.bmm(grad_scores, k, out=grad_q)
            torch.bmm(grad_scores.mT, q, out=grad_k)
        return *(_tokens(part, layout, tokens) for part in given), None, None, None


def _weights(query: Tensor, key: Tensor, bias: Tensor | None, heads: int) -> Tensor:
    """Compute one bucket's attention weights, [sequences * heads, longest, longest].

    The bias is one of `buckets.biases`. The softmax is float32: torch's is slow in bf16 for short
    rows.
    """
    if bias is None:
        scores = torch.bmm(query, key.mT)
    else:
        each = bias[0] if len(bias) == 1 else bias.expand(-1, heads, -1, -1).flatten(0, 1)
        scores = torch.baddbmm(each.expand(len(query), query.shape[1], -1), query, key.mT)
    precise = torch.promote_types(scores.dtype, torch.float32)
    weights: Tensor = scores.softmax(-1, dtype=precise)
    return weights.to(scores.dtype)


def _dropped(weights: Tensor, kept: Tensor | None, factor: float) -> Tensor:
    """Return weights after dropout; unchanged if there is no dropout."""
    return weights if kept is None else scale(weights, kept, factor)


def _rows_of_gradient(grad: Tensor, layout: ByHead) -> Tensor:
    """Return a gradient [tokens, heads, head_dim] as the buckets' rows, 0 at padding.

    A query at padding is a copy of its sequence's first token and must not add to its gradient.
    """
    states = grad.flatten(0, 1)[: len(layout.places)]
    return torch.cat([states, states.new_zeros(1, states.shape[1])]).index_select(0, layout.real)


def _tokens(rows: Tensor, layout: ByHead, tokens: int) -> Tensor:
    """Return the buckets' rows as [tokens, heads, head_dim], 0 for tokens that are in no bucket."""
    states = rows.new_zeros(tokens * layout.heads, rows.shape[1])
    torch.index_select(rows, 0, layout.places, out=states[: len(layout.places)])
    return states.view(tokens, layout.heads, -1)


def _unsaved(
    saved: Sequence[Tensor], groups: int
) -> tuple[Tensor, Tensor, Tensor, Sequence[Tensor], Sequence[Tensor | None]]:
    """Return what `_Attend` saved: queries, keys, values, and each group's weights and masks."""
    query, key, value, *rest = saved
    return query, key, value, rest[:groups], rest[groups:]
