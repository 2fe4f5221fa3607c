"""Attention by torch's `scaled_dot_product_attention`, one bucket of similar lengths at a time."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tartan.body.kernels.layout import Layout


def by_sdpa(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    window: int | None = None,
) -> Tensor:
    """Attend as `Kernel` says, on any device."""
    buckets, masks = layout.buckets, layout.added(query.dtype, window)
    spare = len(query) - len(buckets.places)
    queries, keys, values = (
        buckets.split(_rows(states, buckets.index, buckets.places, spare))
        for states in (query, key, value)
    )
    attended = [
        functional.scaled_dot_product_attention(
            q.transpose(1, 2),
            k.transpose(1, 2),
            v.transpose(1, 2),
            attn_mask=mask,
            dropout_p=dropout,
            is_causal=layout.causal and mask is None,
            scale=scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        for q, k, v, mask in zip(queries, keys, values, masks, strict=True)
    ]
    rows = torch.cat([states.transpose(1, 2).flatten(0, 1) for states in attended])
    return _tokens(rows, buckets.places, spare)


class _Rows(torch.autograd.Function):
    """Lays tokens in the rows of buckets.

    Padding repeats a token, whose gradient there is 0: the gradient is a selection, which is faster
    than the sum that autograd takes, and on a GPU, deterministic.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, index: Tensor, places: Tensor, spare: int) -> Tensor:
        ctx.save_for_backward(places)
        ctx.spare = spare
        return states.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (places,) = ctx.saved_tensors
        return _padded(grads[0].index_select(0, places), ctx.spare), None, None, None


class _Tokens(torch.autograd.Function):
    """Takes tokens from the rows of buckets, each once; the gradient at padding is 0."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, places: Tensor, spare: int) -> Tensor:
        ctx.save_for_backward(places)
        ctx.shape = rows.shape
        return _padded(rows.index_select(0, places), spare)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (places,) = ctx.saved_tensors
        zeros = grads[0].new_zeros(ctx.shape)
        return zeros.index_copy_(0, places, grads[0][: len(places)]), None, None


def _rows(states: Tensor, index: Tensor, places: Tensor, spare: int) -> Tensor:
    rows: Tensor = _Rows.apply(states, index, places, spare)  # type: ignore[no-untyped-call]
    return rows


def _tokens(rows: Tensor, places: Tensor, spare: int) -> Tensor:
    tokens: Tensor = _Tokens.apply(rows, places, spare)  # type: ignore[no-untyped-call]
    return tokens


def _padded(states: Tensor, spare: int) -> Tensor:
    """Append zeros for tokens that are in no bucket."""
    return functional.pad(states, (0, 0, 0, 0, 0, spare)) if spare else states
