"""One fake device for all callers of a process."""

import atexit
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from tartan.testing.fake_cuda.process import DeviceProcessError, FakeDevice

T = TypeVar("T")


def on_fake_device(function: Callable[..., T], *arguments: Any) -> T:
    """Return a function's result on a fake device, which is started once and then kept.

    Args and errors are those of `FakeDevice.call`, and BuildError where there can be no device.
    After a DeviceProcessError, the next call starts another.
    """
    try:
        return _device().call(function, *arguments)
    except DeviceProcessError:
        _device.cache_clear()  # its process may have ended: the next caller gets another
        raise


@cache
def _device() -> FakeDevice:
    device = FakeDevice().__enter__()
    atexit.register(device.__exit__)
    return device
