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
from tartan.body.kernels import varlen
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

    def by_torch(*given, **options):
        called.append("torch")
        return loop(*given, **options)

    def by_flash_attn(*given, dropout_p, softmax_scale, causal, window_size):
        called.append("flash_attn")
        assert dropout_p == 0
        return loop(*given, scale=softmax_scale, window_size=window_size)

    torchs, flash = ModuleType("varlen"), ModuleType("flash_attn")
    torchs.varlen_attn, flash.flash_attn_varlen_func = by_torch, by_flash_attn
    monkeypatch.setitem(sys.modules, "torch.nn.attention.varlen", torchs)
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
    def chosen(dropout=0.0, *, dtype=torch.bfloat16, size=64, device="cuda"):
        class Query:
            shape = (3, 2, size)

        query = Query()
        query.dtype, query.device = dtype, torch.device(device)
        return varlen.kernel_for(query, dropout)

    monkeypatch.setattr(varlen, "find_spec", lambda _: None)
    assert chosen() is varlen.by_torch
    assert chosen(0.1) is None
    assert chosen(dtype=torch.float32) is None
    assert chosen(device="cpu") is None
    assert chosen(size=12) is None
    assert chosen(size=512) is None
    monkeypatch.setattr(varlen, "find_spec", lambda _: object())
    assert chosen(0.1) is varlen.by_flash_attn


def test_a_kernel_that_computes_something_else_is_not_used(monkeypatch, packed):
    body = tiny_source("bert").body().eval()
    expected = body(packed)

    def wrong(query, key, value, *_, **__):
        return value.roll(1, 0)

    def broken(*_, **__):
        raise RuntimeError("no kernel image is available\nfor this device")

    monkeypatch.setattr(varlen, "kernel_for", lambda *_: wrong)
    assert "with attention in buckets" in body.use_varlen(nullcontext())
    assert torch.equal(body(packed), expected)
    monkeypatch.setattr(varlen, "kernel_for", lambda *_: broken)
    assert body.use_varlen(nullcontext()) == "RuntimeError: no kernel image is available"
    assert torch.equal(body(packed), expected)


def test_a_kernel_that_agrees_is_used(monkeypatch, packed, kernels):
    body = tiny_source("bert").body().eval()
    expected = body(packed)
    monkeypatch.setattr(varlen, "kernel_for", lambda *_: varlen.by_torch)
    assert body.use_varlen(nullcontext()) is None
    kernels.clear()
    assert_close(body(packed), expected, atol=1e-5, rtol=1e-5)
    assert kernels == ["torch"] * body.model.config.num_hidden_layers


@ON_A_GPU
@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_the_real_kernel_agrees_on_a_gpu(family):
    body = tiny_source(family, hidden_size=64, num_attention_heads=2).body().to("cuda")
    reason = body.use_varlen(torch.autocast("cuda", dtype=torch.bfloat16))
    assert reason is None, reason
