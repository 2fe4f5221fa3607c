"""Self-attention over packed sequences, through transformers' attention interface.

A model whose attention implementation is `NAME`, called with `packed=` among its keyword arguments,
attends within each sequence of `packed` and never across two. Nothing else of the model changes.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface

from tartan.body.attend import attend, prefers_products
from tartan.body.varlen import kernel
from tartan.packed import Packed

NAME = "tartan_packed"


def packed_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    packed: Packed,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    window: int | None = None,
    varlen: bool = False,
) -> Tensor:
    """Attend within each sequence; to the token itself and earlier ones if `packed` is causal.

    Args:
        query: [tokens, heads, head_dim] float.
        key: [tokens, key_heads, head_dim] float; key_heads divides heads.
        value: [tokens, key_heads, head_dim] float.
        packed: the sequences that the tokens belong to.
        dropout: probability that an attention weight is dropped.
        scaling: factor of the inner products; head_dim ** -0.5 when None.
        window: the largest distance at which a token is seen; None for any distance.
        varlen: whether to use the device's variable-length kernel, where it has one for this.

    Returns:
        [tokens, heads, head_dim] float, in the order of the query's tokens; anything finite for
        tokens beyond those of `packed`.
    """
    if varlen and (chosen := kernel(query, dropout)):
        return chosen(query, key, value, packed, dropout=dropout, scaling=scaling, window=window)
    if prefers_products(query, key, packed, dropout):
        return attend(query, key, value, packed, dropout=dropout, scaling=scaling, window=window)
    return by_bucket(query, key, value, packed, dropout, scaling, window)


def by_bucket(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    packed: Packed,
    dropout: float = 0.0,
    scaling: float | None = None,
    window: int | None = None,
) -> Tensor:
    """`packed_attention` by torch's own, one bucket of similar lengths after the other."""
    buckets = packed.buckets
    queries, keys, values = (
        buckets.split(states.index_select(0, buckets.index)) for states in (query, key, value)
    )
    masks = buckets.masks(window, causal=packed.causal)
    attended = [
        functional.scaled_dot_product_attention(
            q.transpose(1, 2),
            k.transpose(1, 2),
            v.transpose(1, 2),
            attn_mask=mask,
            dropout_p=dropout,
            is_causal=packed.causal and mask is None,
            scale=scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        for q, k, v, mask in zip(queries, keys, values, masks, strict=True)
    ]
    rows = torch.cat([states.transpose(1, 2).flatten(0, 1) for states in attended])
    spare = len(query) - len(buckets.places)
    places = functional.pad(buckets.places, (0, spare)) if spare else buckets.places
    return rows.index_select(0, places)


def _attention(
    module: nn.Module,  # noqa: ARG001
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001
    *,
    packed: Packed,
    varlen: bool = False,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """What transformers calls: query, key, value [1, heads, tokens, head_dim]; no weights.

    The mask and what else a family passes are left aside; that the family then still computes what
    it should is for `Body` to prove.
    """
    query, key, value = (states.squeeze(0).transpose(0, 1) for states in (query, key, value))
    # Transformers counts a window as flash attention does: 1 more than the largest distance.
    window = None if sliding_window is None else sliding_window - 1
    attended = packed_attention(
        query,
        key,
        value,
        packed,
        dropout=dropout,
        scaling=scaling,
        window=window,
        varlen=varlen,
    )
    return attended[None], None


def _no_mask(*_: Any, **__: Any) -> None:
    """The layout is in `packed`; there is no mask to build."""


def keep_from_compiler() -> None:
    """Have torch.compile leave attention as it is: every batch has a layout of its own."""
    AttentionInterface.register(NAME, torch.compiler.disable(_attention))


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, _no_mask)
