"""Tensor modes under which nothing may wait for the device."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tartan.testing.contract import require

# Methods that hand values to Python. On the CPU some of them dispatch no operator at all.
_METHODS = {
    getattr(Tensor, name): name
    for name in (
        "item", "tolist", "numpy", "cpu", "__array__", "__bool__", "__int__", "__float__",
        "__index__", "__contains__",
    )
}  # fmt: skip
_OPERATORS = (
    "aten::_local_scalar_dense",
    "aten::_linalg_check_errors",
    "aten::equal",
    "aten::is_nonzero",
    "aten::masked_select",
    "aten::nonzero",
    "aten::_unique2",
)
"""Operators whose result, or its shape, the host has to wait for."""


class _Operators(TorchDispatchMode):
    """Broken at an operator that waits."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = func.name().partition(".")[0]
        by_mask = name == "aten::index" and any(map(_is_mask, args[1]))
        require(name not in _OPERATORS and not by_mask, f"it waits for the device: {name}")
        return func(*args, **(kwargs or {}))


def _is_mask(index: Tensor | None) -> bool:
    """Whether an index picks entries whose number the host does not know."""
    return index is not None and index.dtype in (torch.bool, torch.uint8)


class _Methods(TorchFunctionMode):
    """Broken at a method that waits."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        method = _METHODS.get(func)
        require(method is None, f"it waits for the device: Tensor.{method}")
        to_host = func is Tensor.to and "cpu" in (*args[1:], *(kwargs or {}).values())
        require(not to_host, "it waits for the device: Tensor.to('cpu')")
        return func(*args, **(kwargs or {}))


@contextmanager
def no_host_sync() -> Iterator[None]:
    """Run a block that is Broken where it asks for a tensor's values, on whatever device."""
    operators = _Operators()  # type: ignore[no-untyped-call]
    with _Methods(), operators:
        yield
