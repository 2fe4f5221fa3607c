"""Where a run computes, in what precision, and what stays the same within a step."""

import pytest
import torch
from torch import nn

from tartan.train.runtime import Runtime

CPU = torch.device("cpu")


def test_a_pass_without_gradient_does_not_take_it_from_later_ones():
    runtime, layer = Runtime(CPU, "bf16"), nn.Linear(4, 4)
    with runtime.same_weights():
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
