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
        lambda x: x.long().bincount(),
        lambda x: x.softmax(0).multinomial(1),
        lambda x: x.repeat_interleave(x.long()),
        lambda x: x.index_put_((x > 0,), x),
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


def test_values_on_the_host_may_be_read_and_what_follows_from_the_device_may_not():
    here, there = torch.tensor([1.0, 0.0]), torch.tensor([2.0, 3.0])
    with no_host_sync([there]):
        assert here[here > 0].tolist() == [1.0]
        view = (there * here)[:1]
        with pytest.raises(Broken, match=r"Tensor\.item"):
            view.item()
        with pytest.raises(Broken, match="aten::index"):
            there[here > 0]


def test_a_tensor_sent_or_created_there_is_on_the_device():
    there = torch.ones(2)
    with no_host_sync([there]):
        for sent in (torch.ones(2).to(there.device), torch.arange(2, device=there.device)):
            with pytest.raises(Broken, match=r"Tensor\.tolist"):
                sent.tolist()


def test_copying_a_value_from_the_host_waits():
    there = torch.ones(2)
    with (
        no_host_sync([there]),
        pytest.raises(Broken, match=r"torch\.tensor\(\.\.\., device=\.\.\.\) copies from the host"),
    ):
        torch.tensor([1.0], device=there.device)


def test_trusted_modules_and_backward_passes_are_not_checked():
    class Trusted(torch.nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input[input[:, 0] > 0])

    class Waiting(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * float(grad.sum())

    layer, there = Trusted(2, 2), torch.ones(3, 2)
    with no_host_sync([there, *layer.parameters()], Trusted):
        total = Waiting.apply(layer(there).sum())
        total.backward()
        with pytest.raises(Broken, match=r"Tensor\.item"):
            total.item()
    assert layer.weight.grad is not None
