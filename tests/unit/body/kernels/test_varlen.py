"""Variable-length kernels: when they are used, with which arguments, and verified first."""

import sys
from contextlib import nullcontext
from itertools import pairwise
from types import ModuleType

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from support.attention import attend, layout_of
from tartan.body import half_verification
from tartan.body.kernels import varlen
from tartan.body.kernels.layout import Layout
from tartan.body.kernels.products import by_products
from tartan.body.kernels.varlen_dropout import reason_against_dropout
from tartan.testing import tiny_source

LENGTHS = (5, 1, 12, 7)
ON_A_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def loop(query: Tensor, key: Tensor, value: Tensor, *given, scale=None, window_size, **_) -> Tensor:
    """Compute what the kernels compute, sequence by sequence, from their arguments."""
    starts, _, longest, _ = given
    assert starts.dtype == torch.int32
    assert longest == max(starts.diff())
    rows = []
    for first, last in pairwise(starts):
        q, k, v = (x[first:last].transpose(0, 1) for x in (query, key, value))
        steps = torch.arange(int(last - first))
        ahead = steps - steps[:, None]
        before, after = (len(steps) if side < 0 else side for side in window_size)
        seen = (ahead <= after) & (-ahead <= before)
        scores = (q @ k.mT) * (scale or q.shape[-1] ** -0.5)
        rows.append((scores.masked_fill(~seen, float("-inf")).softmax(-1) @ v).transpose(0, 1))
    return torch.cat(rows)


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace both kernels by `loop`; return the list of those that are called."""
    called: list[str] = []

    def by_torch(*given, scale, window_size_left, window_size_right):
        called.append("torch")
        *given, dropout, _, _ = given
        assert dropout == 0
        return (loop(*given, scale=scale, window_size=(window_size_left, window_size_right)),)

    def by_flash_attn(*given, dropout_p, softmax_scale, causal, window_size):
        called.append("flash_attn")
        assert dropout_p == 0
        return loop(*given, scale=softmax_scale, window_size=window_size)

    flash = ModuleType("flash_attn")
    flash.flash_attn_varlen_func = by_flash_attn
    monkeypatch.setattr(torch.ops.aten, "_flash_attention_forward", by_torch)
    monkeypatch.setitem(sys.modules, "flash_attn", flash)
    return called


@pytest.mark.parametrize("name", ["by_torch", "by_flash_attn"])
@pytest.mark.parametrize("window", [None, 2])
@pytest.mark.parametrize("causal", [False, True])
def test_a_kernel_gets_the_layout(name, window, causal, kernels, monkeypatch):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, sum(LENGTHS), 2, 8)
    plain, by_kernel = (layout_of(LENGTHS, causal=causal, varlen=each) for each in (False, True))
    expected = attend(query, key, value, plain, window=window, scaling=0.3)
    monkeypatch.setattr(varlen, "kernel_for", lambda *_: getattr(varlen, name))
    found = attend(query, key, value, by_kernel, window=window, scaling=0.3)
    assert kernels == [name.removeprefix("by_")]
    assert_close(found, expected)


def test_only_half_precision_on_a_gpu_has_kernels(monkeypatch):
    def chosen(*, dtype=torch.bfloat16, size=64, device="cuda"):
        class Query:
            shape = (3, 2, size)

        query = Query()
        query.dtype, query.device = dtype, torch.device(device)
        return varlen.kernel_for(query)

    monkeypatch.setattr(varlen, "_has_flash_attn", lambda: False)
    assert chosen() is varlen.by_torch
    assert chosen(dtype=torch.float32) is None
    assert chosen(device="cpu") is None
    assert chosen(size=12) is None
    assert chosen(size=512) is None
    monkeypatch.setattr(varlen, "_has_flash_attn", lambda: True)
    assert chosen() is varlen.by_flash_attn


def test_a_kernel_that_computes_something_else_is_not_used(monkeypatch, packed):
    body = tiny_source("bert").body().eval()
    expected = body(packed)

    def wrong(query, key, value, *_, **__):
        return value.roll(1, 0)

    def broken(*_, **__):
        raise RuntimeError("no kernel image is available\nfor this device")

    monkeypatch.setattr(varlen, "kernel_for", lambda *_: wrong)
    assert "with attention in buckets" in body.use_varlen(nullcontext(), torch.float32)
    assert torch.equal(body(packed), expected)
    monkeypatch.setattr(varlen, "kernel_for", lambda *_: broken)
    assert (
        body.use_varlen(nullcontext(), torch.float32)
        == "RuntimeError: no kernel image is available"
    )
    assert torch.equal(body(packed), expected)


def test_a_kernel_that_agrees_is_used(monkeypatch, packed, kernels):
    body = tiny_source("bert").body().eval()
    expected = body(packed)
    monkeypatch.setattr(varlen, "kernel_for", lambda *_: varlen.by_torch)
    monkeypatch.setattr(half_verification, "reason_against_dropout", lambda *_: None)
    assert body.use_varlen(nullcontext(), torch.float32) is None
    kernels.clear()
    assert_close(body(packed), expected, atol=1e-5, rtol=1e-5)
    assert kernels == ["torch"] * body.model.config.num_hidden_layers


@ON_A_GPU
@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_the_real_kernel_agrees_on_a_gpu(family):
    body = tiny_source(family, hidden_size=64, num_attention_heads=2).body().to("cuda")
    reason = body.use_varlen(torch.autocast("cuda", dtype=torch.bfloat16), torch.bfloat16)
    assert reason is None, reason


def dropped(*states: Tensor, layout: Layout, dropout: float, **options) -> Tensor:
    return by_products(*states, layout, dropout=dropout, **options)


def unseeded(*states: Tensor, layout: Layout, **options) -> Tensor:
    kernel = torch.Generator().seed()
    with torch.random.fork_rng():
        torch.manual_seed(kernel)
        return dropped(*states, layout=layout, **options)


def without(*states: Tensor, layout: Layout, dropout: float, **options) -> Tensor:
    return dropped(*states, layout=layout, dropout=0.0, **options)


def unscaled(*states: Tensor, layout: Layout, dropout: float, **options) -> Tensor:
    return dropped(*states, layout=layout, dropout=dropout, **options) * (1 - dropout)


def forgetful(*states: Tensor, layout: Layout, dropout: float, **options) -> Tensor:
    """Its backward pass is that of attention without dropout."""
    plain = dropped(*states, layout=layout, dropout=0.0, **options)
    with torch.no_grad():
        kept = dropped(*states, layout=layout, dropout=dropout, **options)
    return plain + (kept - plain).detach()


@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        (dropped, None),
        (unseeded, "its dropout does not depend on the seed alone"),
        (without, "its dropout does not depend on the seed alone"),
        (unscaled, "its dropout changes the mean to 0.9"),
        (forgetful, "its backward pass drops other weights than its forward pass"),
    ],
)
def test_dropout_of_a_kernel_is_verified(kernel, reason):
    def given(*states, **options):
        *states, layout = states
        return kernel(*states, layout=layout, **options)

    found = reason_against_dropout(given, 4, 16, torch.device("cpu"), torch.float32)
    assert found is None if reason is None else found.startswith(reason)
