"""Attention over packed sequences by the variable-length kernels of a GPU.

`flash_attn` where it is installed; else torch's own, `torch.nn.attention.varlen`, which has no
dropout. Both compute in half precision. Whether they give what attention in buckets gives is proved
for each body before they are used (`Body.use_varlen`).
"""

from importlib.util import find_spec
from typing import Any, Protocol

import torch
from torch import Tensor

from tartan.packed import Packed

LARGEST_HEAD = 256
"""Flash attention's largest head dimension."""


class Kernel(Protocol):
    """A variable-length attention kernel, its arguments as in `packed_attention`."""

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        packed: Packed,
        *,
        dropout: float,
        scaling: float | None,
        window: int | None,
    ) -> Tensor:
        """[tokens, heads, head_dim], in the order of the query's tokens."""


def kernel(query: Tensor, dropout: float) -> Kernel | None:
    """The kernel for queries [tokens, heads, head_dim]; None where there is none for them."""
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
    packed: Packed,
    *,
    dropout: float,
    scaling: float | None,
    window: int | None,
) -> Tensor:
    """The flash-attn package's kernel (Dao, ICLR 2024)."""
    from flash_attn import flash_attn_varlen_func  # noqa: PLC0415  (it may not be installed)

    attended: Tensor = flash_attn_varlen_func(
        query,
        key,
        value,
        packed.offsets,
        packed.offsets,
        max(packed.lengths),
        max(packed.lengths),
        dropout_p=dropout,
        softmax_scale=scaling,
        causal=packed.causal,
        window_size=_window(packed, window),
    )
    return attended


def by_torch(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    packed: Packed,
    *,
    dropout: float,  # noqa: ARG001  (`kernel` gives it none)
    scaling: float | None,
    window: int | None,
) -> Tensor:
    """Torch's own kernel."""
    from torch.nn.attention.varlen import varlen_attn  # noqa: PLC0415  (as young as torch 2.10)

    shared: dict[str, Any] = {"enable_gqa": True} if query.shape[1] != key.shape[1] else {}
    attended = varlen_attn(
        query,
        key,
        value,
        packed.offsets,
        packed.offsets,
        max(packed.lengths),
        max(packed.lengths),
        scale=scaling,
        window_size=_window(packed, window),
        **shared,
    )
    assert isinstance(attended, Tensor)  # a tuple only where more is asked for
    return attended


def _window(packed: Packed, window: int | None) -> tuple[int, int]:
    """How many tokens are seen before and after each; -1 for all of them."""
    before = -1 if window is None else window
    return before, 0 if packed.causal else before
