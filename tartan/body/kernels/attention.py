"""Self-attention over packed sequences, registered with transformers' attention interface.

A model whose attention implementation is `NAME` and that is called with `layout=` among its keyword
arguments attends within each sequence of that layout. Nothing else of the model changes.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from tartan.body.kernels import varlen
from tartan.body.kernels.kernel import Kernel
from tartan.body.kernels.layout import Layout
from tartan.body.kernels.products import by_products, prefers_products
from tartan.body.kernels.sdpa import by_sdpa
from tartan.errors import ModelError

NAME = "tartan_packed"

HARMLESS = frozenset(
    {
        "cache_position",
        "deterministic",
        "is_causal",
        "output_attentions",
        "output_hidden_states",
        "position_ids",
        "token_type_ids",
        "use_cache",
    }
)
"""Keyword arguments that families pass on and that leave attention as it is. The direction,
`is_causal`, is that of the layout."""


def kernel_for(query: Tensor, layout: Layout) -> Kernel:
    """Choose the kernel for queries, [tokens, heads, head_dim]."""
    return (varlen.kernel_for(query) if layout.varlen else None) or in_buckets


def _in_buckets(
    query: Tensor, key: Tensor, value: Tensor, layout: Layout, *, dropout: float, **options: Any
) -> Tensor:
    kernel = by_products if prefers_products(query, key, layout, dropout) else by_sdpa
    return kernel(query, key, value, layout, dropout=dropout, **options)


in_buckets: Kernel = torch.compiler.disable(_in_buckets)
"""Attends in buckets, by the faster way. torch.compile leaves it out: its code depends on the
batch."""


def packed_attention(
    module: nn.Module,  # noqa: ARG001
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    layout: Layout,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attend as transformers calls it: query, key and value are [1, heads, tokens, head_dim].

    Returns:
        [1, tokens, heads, head_dim] float, and None in place of the attention weights.

    Raises:
        ModelError: the family passes a mask of its own, or an argument that is not `HARMLESS`, such
            as `softcap`. Comparing hidden states would not always show it: with small weights,
            capped scores equal the scores.
    """
    others["attention_mask"] = attention_mask
    for name, given in others.items():
        if given is not None and name not in HARMLESS:
            raise ModelError(f"packed attention does not compute '{name}'")
    query, key, value = (states.squeeze(0).transpose(0, 1) for states in (query, key, value))
    # Rotary positions may have been multiplied in float32.
    query, key = query.to(value.dtype), key.to(value.dtype)
    kernel = kernel_for(query, layout)
    # transformers counts a window as flash attention does: 1 more than the largest distance.
    window = None if sliding_window is None else sliding_window - 1
    attended = kernel(query, key, value, layout, dropout=dropout, scaling=scaling, window=window)
    return attended[None], None


# Without a function that makes a mask of this name, transformers makes none, and does not look for
# sequences in the positions, which waits for a GPU: the layout has them.
AttentionInterface.register(NAME, packed_attention)
