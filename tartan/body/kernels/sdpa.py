"""Attention by torch's `scaled_dot_product_attention`, one bucket of similar lengths at a time."""

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
    buckets, masks = layout.buckets, layout.masks(window)
    queries, keys, values = (
        buckets.split(states.index_select(0, buckets.index)) for states in (query, key, value)
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
    spare = len(query) - len(buckets.places)
    places = functional.pad(buckets.places, (0, spare)) if spare else buckets.places
    return rows.index_select(0, places)
