"""The fake CUDA device: it refuses what a GPU refuses, and records waits and launches."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional

from tartan.testing.fake_cuda import (
    CannotBeSentError,
    DeviceProcessError,
    FakeDevice,
    build,
    recorded,
)
from tartan.testing.fake_cuda.build import BuildError, library, why_not

pytestmark = pytest.mark.heavy

NEEDS_ONE = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture(scope="module")
def device():
    with FakeDevice() as device:
        yield device


def test_each_installation_of_torch_has_a_library(monkeypatch):
    """One that was removed would leave a library without what it is linked to."""
    here = build._file()
    monkeypatch.setattr(torch, "__file__", "/elsewhere/torch/__init__.py")
    assert build._file() != here


def adds() -> None:
    torch.ones(2, device="cuda") + torch.ones(2)


def selects() -> None:
    torch.ones(2, 3, device="cuda").index_select(0, torch.tensor([1]))


def embeds() -> None:
    functional.embedding(torch.tensor([1]), torch.ones(2, 3, device="cuda"))


def puts() -> None:
    torch.ones(3, device="cuda")[torch.tensor([0, 1])] = torch.ones(2)


def adds_to_the_host() -> None:
    total = torch.zeros(())
    total += torch.ones((), device="cuda")


def uses_what_may_be_on_the_host() -> list[float]:
    values = torch.arange(3.0, device="cuda")
    values[torch.tensor([0])] = torch.tensor(5.0)  # indices and a number
    return (values[torch.tensor([0, 2])] * torch.tensor(2.0)).tolist()


def stays_quiet() -> tuple[int, set[str]]:
    layer = nn.Linear(4, 3).to("cuda")
    sent = torch.randn(2, 4).pin_memory()
    with recorded() as record:
        values = sent.to("cuda", non_blocking=True)
        (layer(values) * 2).sum().backward()
        values.to("cpu", non_blocking=True)
    assert layer.weight.grad is not None
    assert layer.weight.grad.is_cuda
    return record.launched, record.places()


def waits_in_every_way() -> list[str]:
    values, event = torch.randn(2, 4).to("cuda"), torch.cuda.Event()
    with recorded() as record:
        values.sum().item()
        values[values > 0]
        values.to("cpu")
        torch.tensor(1.0, device="cuda")
        torch.ones(3).to("cuda", non_blocking=True)
        torch.ones(3).pin_memory().to("cuda")
        values[torch.tensor([0])]
        event.synchronize()
    assert all(wait.line.startswith("testing/test_fake_cuda.py:") for wait in record.waits)
    return sorted(wait.reason for wait in record.waits.elements())


def foreach_launches(tensors: int, size: int) -> int:
    values = [torch.zeros(size, device="cuda") for _ in range(tensors)]
    with recorded() as record:
        torch._foreach_mul_(values, 2.0)
    return record.launched


def attention(device: str) -> list[torch.Tensor]:
    torch.manual_seed(0)
    states = [torch.randn(2, 3, 5, 8).to(device).requires_grad_() for _ in range(3)]
    mask = torch.ones(2, 1, 1, 5, dtype=torch.bool)
    mask[0, ..., 3:] = False
    out = functional.scaled_dot_product_attention(*states, attn_mask=mask.to(device))
    gradients = torch.autograd.grad(out.square().sum(), states)
    return [each.detach().cpu() for each in (out, *gradients)]


def copied() -> tuple[bool, list[float]]:
    norm = nn.BatchNorm1d(2).to("cuda")
    other = deepcopy(norm)
    other.running_mean.fill_(3.0)
    return other.running_mean.is_cuda, norm.running_mean.tolist()


def dies() -> None:
    raise SystemExit("no more")


@NEEDS_ONE
@pytest.mark.parametrize("mixes", [adds, selects, embeds, puts, adds_to_the_host])
def test_mixed_devices_are_refused(device: FakeDevice, mixes: Callable[[], None]):
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        device.call(mixes)


@NEEDS_ONE
def test_indices_and_numbers_that_are_read_may_be_on_the_host(device: FakeDevice):
    assert device.call(uses_what_may_be_on_the_host) == [10.0, 4.0]


@NEEDS_ONE
def test_asynchronous_work_is_counted_and_does_not_wait(device: FakeDevice):
    launched, places = device.call(stays_quiet)
    assert not places
    # Two copies, addmm, mul, sum; backward: ones, mul, mm, sum over rows; each at least once.
    assert 9 <= launched <= 14


@NEEDS_ONE
def test_every_kind_of_wait_is_recorded_with_its_line(device: FakeDevice):
    assert device.call(waits_in_every_way) == [
        "Event.synchronize",
        "an index on the host",
        "aten::_local_scalar_dense",
        "aten::index",
        "blocking copy to the device",
        "blocking copy to the host",
        "copy to the device from pageable memory",
        "copy to the device from pageable memory",
    ]


@NEEDS_ONE
def test_a_foreach_operator_counts_as_often_as_torch_launches_it(device: FakeDevice):
    assert device.call(foreach_launches, 110, 4) == 1
    assert device.call(foreach_launches, 111, 4) == 2
    assert device.call(foreach_launches, 1, 321 * 65_536) == 2


@NEEDS_ONE
def test_fused_attention_is_the_cpus(device: FakeDevice):
    for found, expected in zip(
        device.call(attention, "cuda"), device.call(attention, "cpu"), strict=True
    ):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@NEEDS_ONE
def test_a_module_is_copied_with_its_buffers(device: FakeDevice):
    assert device.call(copied) == (True, [0.0, 0.0])


@NEEDS_ONE
def test_what_cannot_be_sent_and_a_process_that_ends_are_errors(device: FakeDevice):
    """The last test that uses the device: it ends it."""
    with pytest.raises(CannotBeSentError, match="cannot be sent"):
        device.call(lambda: None)
    with pytest.raises(DeviceProcessError, match="the process ended: no more"):
        device.call(dies)


def test_without_a_compiler_there_is_a_reason(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    with pytest.raises(BuildError, match="there is no C\\+\\+ compiler"):
        library()
