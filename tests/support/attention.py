"""Attention as a layer of a body computes it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tartan.body.kernels import attention
from tartan.body.kernels.layout import Layout


def layout_of(lengths: Sequence[int], *, causal: bool = False, varlen: bool = False) -> Layout:
    """Return the layout of sequences of some lengths."""
    return Layout(tuple(lengths), torch.device("cpu"), causal=causal, varlen=varlen)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    window: int | None = None,
) -> Tensor:
    """Attend by the kernel that is chosen for queries and keys; arguments as in `Kernel`."""
    kernel = attention.kernel_for(query, layout)
    return kernel(query, key, value, layout, dropout=dropout, scaling=scaling, window=window)
