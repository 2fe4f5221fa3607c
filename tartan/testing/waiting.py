"""Operators that make the host wait for the device, because it needs their values."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

OPERATORS = (
    "aten::_local_scalar_dense",
    "aten::_linalg_check_errors",
    "aten::_linalg_eigh",
    "aten::_linalg_svd",
    "aten::linalg_eig",
    "aten::bincount",
    "aten::equal",
    "aten::is_nonzero",
    "aten::masked_select",
    "aten::multinomial",
    "aten::nonzero",
    "aten::unique_dim",
    "aten::unique_consecutive",
    "aten::_unique",
    "aten::_unique2",
)
"""Operators whose result, or its shape, the host has to wait for."""


def waits(func: Any, args: Sequence[Any], options: Mapping[str, Any]) -> str | None:
    """Return the name of an operator if it waits when it is called so; None if it does not.

    Args:
        func: an operator as `__torch_dispatch__` receives it; its tensors are on a device.
        args: its arguments.
        options: its keyword arguments.
    """
    name: str = func.name().partition(".")[0]
    found = name in OPERATORS or _selects(name, args) or _counts_repeats(func, options)
    return name if found else None


def _selects(name: str, args: Sequence[Any]) -> bool:
    """Return whether an operator picks entries by a mask, whose number the host does not know."""
    if name == "aten::index":
        return any(map(_is_mask, args[1]))
    if name in ("aten::index_put", "aten::index_put_"):
        return any(map(_is_mask, args[1])) and args[2].numel() > 1  # one value is a masked fill
    return False


def _is_mask(index: Tensor | None) -> bool:
    """Return whether an index is a mask."""
    return index is not None and index.dtype in (torch.bool, torch.uint8)


def _counts_repeats(func: Any, options: Mapping[str, Any]) -> bool:
    """Return whether repeats are a tensor, and the size of the result is not given."""
    by_tensor = func.name() in ("aten::repeat_interleave.Tensor",)
    return by_tensor and options.get("output_size") is None
