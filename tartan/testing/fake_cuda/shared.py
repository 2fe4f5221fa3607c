"""One fake device for all callers of a process."""

import atexit
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from tartan.testing.fake_cuda.process import FakeDevice

T = TypeVar("T")


def on_fake_device(function: Callable[..., T], *arguments: Any) -> T:
    """Return a function's result on a fake device, which is started once and then kept.

    Args and errors are those of `FakeDevice.call`, and BuildError where there can be no device.
    """
    return _device().call(function, *arguments)


@cache
def _device() -> FakeDevice:
    device = FakeDevice().__enter__()
    atexit.register(device.__exit__)
    return device
