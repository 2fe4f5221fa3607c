"""Where a run computes, in what precision, and what stays the same within a step."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tartan.train.finite import HostFlag
from tartan.train.runtime import Runtime

CPU = torch.device("cpu")


def test_a_pass_without_gradient_does_not_take_it_from_later_ones():
    runtime, layer = Runtime(CPU, "bf16"), nn.Linear(4, 4)
    with runtime.same_weights(SimpleNamespace(divided=False, same_weights=nullcontext)):
        with runtime.autocast(), torch.no_grad():
            layer(torch.ones(1, 4))
        for _ in range(2):
            with runtime.autocast():
                loss = layer(torch.ones(1, 4)).float().sum()
            loss.backward()
    assert torch.equal(layer.weight.grad, torch.full((4, 4), 2.0))


@pytest.mark.parametrize(
    ("name", "found", "precision"),
    [
        ("Intel Xeon", {"avx512_bf16"}, "fp32"),
        ("Intel Xeon", {"avx512_bf16", "amx_bf16"}, "bf16"),
        ("AMD EPYC", {"avx512_bf16"}, "bf16"),
        ("AMD EPYC", set(), "fp32"),
    ],
)
def test_auto_is_bf16_where_a_cpu_is_faster_in_it(monkeypatch, name, found, precision):
    """Intel's without AMX have instructions for bf16 that are slower than those for float32."""
    capabilities = dict.fromkeys(found, True) | {"cpu_name": name}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert Runtime.choose("cpu").precision == precision


@pytest.fixture
def _same_switches():
    """Restore torch's switches for GPUs, which are those of the process."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cuda.cudnn_sdp_enabled()
    products = matmul.fp32_precision
    yield
    matmul.allow_tf32 = products == "tf32"
    matmul.fp32_precision = products
    torch.backends.cuda.enable_cudnn_sdp(cudnn)


@pytest.mark.usefixtures("_same_switches")
@pytest.mark.parametrize(("tf32", "precision"), [(False, "ieee"), (True, "tf32")])
def test_a_gpu_uses_tf32_if_asked_and_never_cudnns_attention(tf32: bool, precision: str):
    torch.backends.cuda.matmul.fp32_precision = "ieee" if tf32 else "tf32"
    torch.backends.cuda.enable_cudnn_sdp(True)
    Runtime(torch.device("cuda"), "fp32").configure(tf32=tf32)
    assert torch.backends.cuda.matmul.fp32_precision == precision
    assert torch.get_float32_matmul_precision() == ("high" if tf32 else "highest")
    assert not torch.backends.cuda.cudnn_sdp_enabled()


@pytest.mark.usefixtures("_same_switches")
def test_a_run_on_a_cpu_changes_no_switch_of_a_gpu():
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cuda.enable_cudnn_sdp(True)
    Runtime(CPU, "fp32").configure(tf32=True)
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch.backends.cuda.cudnn_sdp_enabled()


def test_a_flag_of_a_second_gpu_is_read_after_that_gpus_stream_has_sent_it(monkeypatch):
    """Recorded on the current device's stream, the event would not wait for the copy."""
    second, did = torch.device("cuda", 1), []
    event = SimpleNamespace(
        record=lambda stream: did.append(("recorded", stream)),
        synchronize=lambda: did.append("waited"),
    )
    monkeypatch.setattr(torch.cuda, "Event", lambda: event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: ("stream of", device))
    copy = lambda *_, **options: did.append(("copied", options)) or torch.tensor(True)  # noqa: E731
    flag = HostFlag(SimpleNamespace(to=copy, is_cuda=True, device=second))  # type: ignore[arg-type]
    assert flag
    copied, recorded, waited = did
    assert copied == ("copied", {"non_blocking": True})
    assert (recorded, waited) == (("recorded", ("stream of", second)), "waited")


def test_a_numbered_gpu_becomes_the_current_one(monkeypatch):
    """Events, streams and random seeds go by the current device."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: torch.ones(1))
    assert Runtime.choose("cuda:1", "fp32").device == torch.device("cuda:1")
    assert chosen == [torch.device("cuda:1")]
