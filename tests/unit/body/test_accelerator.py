"""On an accelerator the body computes the same as on the CPU. Without one these tests run on the
CPU, so that they are tested everywhere."""

import pytest
import torch

from support.attention import attend
from tartan.body.kernels.layout import Layout
from tartan.packed import Packed
from tartan.testing import tiny_source
from tartan.testing.objective_contract import accelerator

LENGTHS = (5, 1, 30, 5, 17, 33, 16, 48)
FAMILIES = ("bert", "roberta", "modernbert")


@pytest.fixture
def device():
    return accelerator() or torch.device("cpu")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def batch():
    ids = torch.randint(5, 60, (sum(LENGTHS),))
    return Packed(ids, LENGTHS)


def gradients(body, packed, weight):
    body.zero_grad()
    (body(packed).float() * weight).sum().backward()
    return torch.cat([p.grad.flatten().float().cpu() for p in body.parameters()])


def cosine(one, other):
    return torch.nn.functional.cosine_similarity(one.double(), other.double(), dim=0)


@pytest.mark.parametrize("causal", [False, True])
def test_packed_attention_is_the_cpus(device, causal):
    packed = Packed(torch.zeros(sum(LENGTHS), dtype=torch.int64), LENGTHS, causal=causal)
    states = [torch.randn(sum(LENGTHS), 2, 8, requires_grad=True) for _ in range(3)]
    moved = [state.detach().to(device).requires_grad_() for state in states]
    here = attend(*states, Layout(packed.lengths, torch.device("cpu"), causal=packed.causal))
    there = attend(*moved, Layout(packed.lengths, device, causal=packed.causal))
    torch.testing.assert_close(there.cpu(), here, atol=1e-5, rtol=1e-4)
    weight = torch.randn_like(here)
    expected = torch.autograd.grad((here * weight).sum(), states)
    found = torch.autograd.grad((there * weight.to(device)).sum(), moved)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.cpu(), other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_the_cpus(device, family):
    packed, body = batch(), tiny_source(family).body().eval()
    weight = torch.randn(sum(LENGTHS), body.hidden_size)
    here = gradients(body, packed, weight)
    there = gradients(body.to(device), packed.to(device), weight.to(device))
    assert cosine(here, there) > 1 - 1e-6
    torch.testing.assert_close(there, here, atol=1e-4 * float(here.abs().max()), rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_agrees_with_fp32(device, family):
    packed, body = batch().to(device), tiny_source(family).body().eval().to(device)
    weight = torch.randn(sum(LENGTHS), body.hidden_size, device=device)
    exact = gradients(body, packed, weight)
    with torch.autocast(device.type, torch.bfloat16):
        rounded = gradients(body, packed, weight)
    assert cosine(exact, rounded) > 0.999
