"""Whatever asks a tensor for its values is caught; arithmetic is not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tartan.testing import Broken
from tartan.testing.host import no_host_sync


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: float(x[0]),
        lambda x: int(x[0]),
        lambda x: bool(x.isfinite().all()),
        lambda x: 1 if x[0] > 0 else 0,
        max,
        lambda x: x.numpy(),
        lambda x: x.cpu(),
        lambda x: x.to("cpu"),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: torch.equal(x, x),
        lambda x: x.unique(),
        lambda x: torch.linalg.solve(torch.eye(3), x),
    ],
)
def test_asking_for_values_is_caught(ask: Callable[[Tensor], object]):
    with pytest.raises(Broken, match="it waits for the device"), no_host_sync():
        ask(torch.tensor([1.0, 2.0, 3.0]))


def test_arithmetic_is_not():
    x = torch.tensor([1.0, 2.0, 3.0])
    with no_host_sync():
        y = torch.where(x > 1, x.softmax(0), 0).to(x) + x[0] * x.new_ones(3)
        y[1] = 0.0
        y = (y / y.sum().clamp_min(1e-8)).clone()
    assert y.shape == (3,)
