"""When two results are the same computation, whatever the processor's kernels add up first."""

from torch import Tensor
from torch.testing import assert_close


def assert_same(found: Tensor, expected: Tensor) -> None:
    """Equal in float32 but for rounding: to 1e-5 of the largest number, or of 1."""
    assert_close(found, expected, atol=1e-5 * max(1.0, float(expected.abs().max())), rtol=0)
