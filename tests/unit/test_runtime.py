"""Where a run computes, in what precision, and what stays the same within a step."""

import pytest
import torch
from torch import nn

from tartan.train import runtime
from tartan.train.runtime import Runtime, prefers_bf16

CPU = torch.device("cpu")


def test_a_pass_without_gradient_does_not_take_it_from_later_ones():
    bf16, layer = Runtime(CPU, "bf16"), nn.Linear(4, 4)
    with bf16.same_weights():
        with bf16.autocast(), torch.no_grad():
            layer(torch.ones(1, 4))
        for _ in range(2):
            with bf16.autocast():
                loss = layer(torch.ones(1, 4)).float().sum()
            loss.backward()
    assert torch.equal(layer.weight.grad, torch.full((4, 4), 2.0))


@pytest.fixture
def _asked_anew():
    prefers_bf16.cache_clear()
    yield
    prefers_bf16.cache_clear()


@pytest.mark.usefixtures("_asked_anew")
@pytest.mark.parametrize(
    ("computes", "seconds", "precision"),
    [(True, 0.4, "bf16"), (True, 0.9, "fp32"), (True, 2.0, "fp32"), (False, 0.1, "fp32")],
)
def test_auto_is_bf16_where_a_cpu_computes_clearly_faster_in_it(
    monkeypatch, computes, seconds, precision
):
    """A CPU may have instructions for bf16 that are slower than those for float32."""
    monkeypatch.setattr(runtime, "computes_bf16", lambda _: computes)
    monkeypatch.setattr(
        runtime, "_seconds", lambda dtype: seconds if dtype == torch.bfloat16 else 1.0
    )
    assert Runtime.choose("cpu").precision == precision


@pytest.mark.usefixtures("_asked_anew")
def test_a_cpu_is_asked_once():
    assert prefers_bf16(CPU) is prefers_bf16(torch.device("cpu"))
    assert prefers_bf16.cache_info().misses == 1
