"""Attention over packed sequences by the variable-length kernels of a GPU.

That is `flash_attn` if it is installed; else torch's own, `torch.nn.attention.varlen`, which has no
dropout. Both compute in half precision. `Body.use_varlen` verifies for each body that they agree
with attention in buckets before they are used.
"""

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from tartan.body.kernels.kernel import Kernel
from tartan.body.kernels.layout import Layout

LARGEST_HEAD = 256
"""Flash attention's largest head dimension."""


def kernel_for(query: Tensor, dropout: float) -> Kernel | None:
    """Return the kernel for queries [tokens, heads, head_dim]; None if none can compute them."""
    size = query.shape[-1]
    half = query.dtype in (torch.float16, torch.bfloat16)
    if query.device.type != "cuda" or not half or size % 8 or size > LARGEST_HEAD:
        return None
    if find_spec("flash_attn") is not None:
        return by_flash_attn
    return by_torch if dropout == 0 else None


def by_flash_attn(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    *,
    dropout: float,
    scaling: float | None,
    window: int | None,
) -> Tensor:
    """Attend as `Kernel` says, by the flash-attn package (Dao, ICLR 2024)."""
    from flash_attn import flash_attn_varlen_func  # noqa: PLC0415  (optional)

    attended: Tensor = flash_attn_varlen_func(
        query,
        key,
        value,
        layout.offsets,
        layout.offsets,
        layout.longest,
        layout.longest,
        dropout_p=dropout,
        softmax_scale=scaling,
        causal=layout.causal,
        window_size=_window(layout, window),
    )
    return attended


def by_torch(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    *,
    dropout: float,  # noqa: ARG001  (always 0: see `kernel_for`)
    scaling: float | None,
    window: int | None,
) -> Tensor:
    """Attend as `Kernel` says, by torch's own kernel."""
    from torch.nn.attention.varlen import varlen_attn  # noqa: PLC0415  (new in torch 2.10)

    shared: dict[str, Any] = {"enable_gqa": True} if query.shape[1] != key.shape[1] else {}
    attended = varlen_attn(
        query,
        key,
        value,
        layout.offsets,
        layout.offsets,
        layout.longest,
        layout.longest,
        scale=scaling,
        window_size=_window(layout, window),
        **shared,
    )
    assert isinstance(attended, Tensor)  # a tuple only if auxiliary results are requested
    return attended


def _window(layout: Layout, window: int | None) -> tuple[int, int]:
    """Return how many tokens before and after each are attended to; -1 for all of them."""
    before = -1 if window is None else window
    return before, 0 if layout.causal else before
