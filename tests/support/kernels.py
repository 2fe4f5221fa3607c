"""The variable-length kernel where there is no GPU."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from torch import library

from tartan.body.kernels import varlen
from tartan.testing.fake_cuda import attention

Operator = Callable[..., Any]


@contextmanager
def kernel_on_a_cpu(
    patch: pytest.MonkeyPatch, wrapped: Callable[[Operator], Operator] = lambda way: way
) -> Iterator[None]:
    """Compute the operators of the kernel on a CPU, by the formula; `wrapped` changes them."""
    ways = {"forward": attention._varlen, "backward": attention._varlen_backward}
    with library._scoped_library("aten", "IMPL") as operators:
        for name, way in ways.items():
            operators.impl(f"_flash_attention_{name}", wrapped(way), "CPU")
        patch.setattr(varlen, "kernel_for", lambda _: varlen.by_torch)
        yield
