"""Tensor modes under which an operation that waits for the device raises, also on a CPU."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tartan.testing.contract import require
from tartan.testing.waiting import waits

# Methods that hand values to Python. On the CPU some of them dispatch no operator at all.
_METHODS = {
    getattr(Tensor, name): name
    for name in (
        "item", "tolist", "numpy", "cpu", "__array__", "__bool__", "__int__", "__float__",
        "__index__", "__contains__",
    )
}  # fmt: skip
_FROM_HOST = (torch.tensor, torch.as_tensor)
"""Functions that copy a Python value to the device, and wait for the copy."""


class DeviceTensors:
    """The tensors that stand for those on a device: given ones, and what is computed from them.

    They are known by their storage, so that views and in-place results are included.

    Attributes:
        trusted: how many modules are running whose operations are not checked.
    """

    def __init__(self, given: Iterable[Tensor] | None) -> None:
        """None: every tensor is on the device."""
        self.trusted = 0
        self._storages: dict[int, StorageWeakRef] | None = None
        if given is not None:
            self._storages = {}
            self.add(given)

    def add(self, values: object) -> None:
        """Count all tensors in a nested structure as being on the device."""
        if self._storages is None:
            return
        for value in tree_leaves(values):
            if isinstance(value, Tensor):
                # While a weak reference lives, no other storage gets this address.
                reference = StorageWeakRef(value.untyped_storage())
                self._storages[reference.cdata] = reference

    def __contains__(self, value: object) -> bool:
        """Return whether a value is a tensor on the device."""
        if not isinstance(value, Tensor):
            return False
        return self._storages is None or value.untyped_storage()._cdata in self._storages

    @property
    def checked(self) -> bool:
        """Whether operations are checked now: not in a trusted module, nor in a backward pass."""
        return not self.trusted and torch._C._current_graph_task_id() == -1

    def any_of(self, *values: object) -> bool:
        """Return whether a nested structure has a tensor on the device."""
        return any(value in self for value in tree_leaves(values))


class _Operators(TorchDispatchMode):
    """Raises Broken at an operator that waits."""

    def __init__(self, device: DeviceTensors) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._device = device

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        if not self._device.any_of(args, options):
            return func(*args, **options)
        if self._device.checked:
            name = waits(func, args, options)
            require(name is None, f"it waits for the device: {name}")
        result = func(*args, **options)
        self._device.add(result)
        return result


class _Methods(TorchFunctionMode):
    """Raises Broken at a method that waits."""

    def __init__(self, device: DeviceTensors) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        if self._device.checked and args:
            self._check(func, args[0], (*args[1:], *options.values()))
        result = func(*args, **options)
        if isinstance(options.get("device"), torch.device) or (
            func is Tensor.to and any(isinstance(a, torch.device | Tensor) for a in args[1:])
        ):
            self._device.add(result)
        return result

    def _check(self, func: Callable[..., Any], first: object, rest: Sequence[object]) -> None:
        """Raise Broken if a call with these arguments waits."""
        if func in _FROM_HOST:
            copied = any(isinstance(a, torch.device) for a in rest) and first not in self._device
            require(
                not copied,
                f"it waits for the device: torch.{func.__name__}(..., device=...) copies from the "
                "host; create the tensor in collate",
            )
        if first in self._device:
            method = _METHODS.get(func)
            require(method is None, f"it waits for the device: Tensor.{method}")
            to_host = func is Tensor.to and "cpu" in rest
            require(not to_host, "it waits for the device: Tensor.to('cpu')")


@contextmanager
def no_host_sync(
    device: Iterable[Tensor] | None = None, trusted: type[nn.Module] | None = None
) -> Iterator[None]:
    """Run a block in which an operation that would wait for the device raises Broken.

    Backward passes are not checked.

    Args:
        device: the tensors that stand for those on the device. What is computed from them is there
            too; other tensors are on the host, where their values may be read. None: all tensors.
        trusted: a class of modules that are not checked while they run.
    """
    tensors = DeviceTensors(device)

    def enter(module: nn.Module, _: object) -> None:
        tensors.trusted += trusted is not None and isinstance(module, trusted)

    def leave(module: nn.Module, _: object, __: object) -> None:
        tensors.trusted -= trusted is not None and isinstance(module, trusted)

    hooks = (
        register_module_forward_pre_hook(enter),
        register_module_forward_hook(leave, always_call=True),
    )
    try:
        with _Methods(tensors), _Operators(tensors):
            yield
    finally:
        for hook in hooks:
            hook.remove()
