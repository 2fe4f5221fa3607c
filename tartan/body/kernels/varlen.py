"""Attention over packed sequences by the variable-length kernels of a GPU.

That is `flash_attn` if it is installed, else the flash attention that torch brings. Both compute in
half precision, and draw dropout themselves. `Body.use_varlen` verifies for each body, in training
mode, that they agree with attention in buckets before they are used.
"""

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from tartan.body.kernels.kernel import Kernel
from tartan.body.kernels.layout import Layout

LARGEST_HEAD = 256
"""Flash attention's largest head dimension."""


def kernel_for(query: Tensor) -> Kernel | None:
    """Return the kernel for queries [tokens, heads, head_dim]; None if none can compute them."""
    size = query.shape[-1]
    half = query.dtype in (torch.float16, torch.bfloat16)
    if query.device.type != "cuda" or not half or size % 8 or size > LARGEST_HEAD:
        return None
    return by_flash_attn if _has_flash_attn() else by_torch


@cache
def _has_flash_attn() -> bool:
    """Return whether the flash-attn package is installed; looking for it takes a while."""
    return find_spec("flash_attn") is not None


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
        layout.longest_read,
        layout.longest_read,
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
    dropout: float,
    scaling: float | None,
    window: int | None,
) -> Tensor:
    """Attend as `Kernel` says, by the flash attention that torch brings.

    `torch.nn.attention.varlen` calls the same operator, but without dropout.
    """
    if query.shape[1] != key.shape[1]:
        repeats = query.shape[1] // key.shape[1]
        key, value = (states.repeat_interleave(repeats, 1) for states in (key, value))
    before, after = _window(layout, window)
    attended: Tensor = torch.ops.aten._flash_attention_forward(
        query,
        key,
        value,
        layout.offsets,
        layout.offsets,
        layout.longest_read,
        layout.longest_read,
        dropout,
        layout.causal,
        False,  # no mask of dropout for debugging
        scale=scaling,
        window_size_left=before,
        window_size_right=after,
    )[0]
    return attended


def _window(layout: Layout, window: int | None) -> tuple[int, int]:
    """Return how many tokens before and after each are attended to; -1 for all of them."""
    before = -1 if window is None else window
    return before, 0 if layout.causal else before
