"""Attention over packed sequences is attention over each of them by itself."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from tartan.body.attend import attend
from tartan.body.attention import packed_attention
from tartan.packed import Packed

LENGTHS = (5, 1, 30, 5, 17, 33, 16)


def states(lengths, heads=2, key_heads=2, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(sum(lengths), h, width) for h in (heads, key_heads, key_heads)]
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]


def one_by_one(query, key, value, lengths, window=None, scaling=None):
    """The definition: a loop over sequences, weights written out."""
    rows = []
    states = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (query, key, value))
    for q, k, v in zip(*(x.split(lengths) for x in states), strict=True):
        scores = torch.einsum("qhd,khd->hqk", q, k) * (scaling or q.shape[-1] ** -0.5)
        steps = torch.arange(len(q))
        far = (steps[:, None] - steps).abs() > (len(q) if window is None else window)
        weights = scores.masked_fill(far, float("-inf")).softmax(-1)
        rows.append(torch.einsum("hqk,khd->qhd", weights, v))
    return torch.cat(rows)


def packed_of(lengths):
    return Packed(torch.zeros(sum(lengths), dtype=torch.int64), tuple(lengths))


@pytest.mark.parametrize("window", [None, 0, 3, 100])
@pytest.mark.parametrize("lengths", [LENGTHS, (4, 4, 4), (9,), (1, 1)])
def test_it_is_each_sequences_own_attention(lengths, window):
    query, key, value = states(lengths)
    found = packed_attention(query, key, value, packed_of(lengths), window=window)
    expected = one_by_one(query, key, value, lengths, window)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("window", [None, 2])
def test_gradients_are_those_of_the_definition_and_finite(window):
    inputs = states(LENGTHS)
    weight = torch.randn(sum(LENGTHS), 2, 4, dtype=torch.float64)
    found = packed_attention(*inputs, packed_of(LENGTHS), window=window)
    expected = one_by_one(*inputs, LENGTHS, window)
    for a, b in zip(
        torch.autograd.grad((found * weight).sum(), inputs),
        torch.autograd.grad((expected * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_heads_may_share_keys():
    query, key, value = states(LENGTHS, heads=4, key_heads=2)
    found = packed_attention(query, key, value, packed_of(LENGTHS))
    torch.testing.assert_close(found, one_by_one(query, key, value, LENGTHS))


def test_the_scale_of_the_scores_is_the_callers():
    query, key, value = states(LENGTHS)
    found = packed_attention(query, key, value, packed_of(LENGTHS), scaling=2.0)
    torch.testing.assert_close(found, one_by_one(query, key, value, LENGTHS, scaling=2.0))


def test_dropout_drops_attention_weights_and_scales_the_rest():
    query, key, _ = states((8,))
    value = torch.eye(8, dtype=torch.float64)[:, None, :].expand(8, 2, 8)
    weights = packed_attention(query, key, value, packed_of((8,)))
    torch.manual_seed(3)
    found = packed_attention(query, key, value, packed_of((8,)), dropout=0.5)
    kept = found != 0
    assert 0.3 < kept.double().mean() < 0.7
    torch.testing.assert_close(found, 2 * weights * kept)


@pytest.mark.parametrize("window", [None, 1])
def test_gradients_with_dropout_are_those_of_the_weights_kept(window):
    """Against autograd through the written-out product, with what was kept read off."""
    q, k, v = (x.detach().transpose(0, 1)[None].requires_grad_() for x in states((5,)))
    mask = None if window is None else torch.ones(5, 5).tril(window).triu(-window).bool()
    torch.manual_seed(5)
    kept = attend(q, k, torch.eye(5).double().expand(1, 2, 5, 5), mask, dropout=0.4) != 0
    torch.manual_seed(5)
    found = attend(q, k, v, mask, dropout=0.4)
    scores = (q @ k.mT) * q.shape[-1] ** -0.5
    scores = scores if mask is None else scores.masked_fill(~mask, float("-inf"))
    factor = 65536 / (65536 - round(0.4 * 65536))
    expected = (scores.softmax(-1) * kept * factor) @ v
    torch.testing.assert_close(found, expected)
    weight = torch.randn_like(found)
    for a, b in zip(
        torch.autograd.grad(found, (q, k, v), weight),
        torch.autograd.grad(expected, (q, k, v), weight),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("masked", [False, True])
def test_products_and_torchs_own_attention_agree(dtype, masked):
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(3, 2, 20, 8, generator=generator).to(dtype) for _ in range(3))
    mask = torch.arange(20) < torch.tensor([20, 7, 1])[:, None, None, None] if masked else None
    found, expected = attend(q, k, v, mask), scaled_dot_product_attention(q, k, v, mask)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)
