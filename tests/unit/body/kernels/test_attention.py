"""Attention over packed sequences equals attention over each sequence by itself."""

import pytest
import torch

from support.attention import attend, layout_of
from tartan.body.kernels.products import by_products, prefers_products
from tartan.body.kernels.sdpa import by_sdpa

LENGTHS = (5, 1, 30, 5, 17, 33, 16)


def states(lengths, heads=2, key_heads=2, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(sum(lengths), h, width) for h in (heads, key_heads, key_heads)]
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]


def one_by_one(query, key, value, lengths, window=None, scaling=None, *, causal=False, kept=None):
    """Compute attention by definition: a loop over sequences, with weights written out."""
    rows = []
    states = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (query, key, value))
    for q, k, v in zip(*(x.split(lengths) for x in states), strict=True):
        scores = torch.einsum("qhd,khd->hqk", q, k) * (scaling or q.shape[-1] ** -0.5)
        steps = torch.arange(len(q))
        far = (steps[:, None] - steps).abs() > (len(q) if window is None else window)
        far |= (steps > steps[:, None]) & causal
        weights = scores.masked_fill(far, float("-inf")).softmax(-1)
        weights = weights if kept is None else weights * kept[len(rows)]
        rows.append(torch.einsum("hqk,khd->qhd", weights, v))
    return torch.cat(rows)


@pytest.mark.parametrize("window", [None, 0, 3, 100])
@pytest.mark.parametrize("lengths", [LENGTHS, (4, 4, 4), (9,), (1, 1)])
def test_each_sequence_attends_to_itself_only(lengths, window):
    query, key, value = states(lengths)
    found = attend(query, key, value, layout_of(lengths), window=window)
    expected = one_by_one(query, key, value, lengths, window)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("window", [None, 2])
def test_gradients_are_those_of_the_definition_and_finite(window):
    inputs = states(LENGTHS)
    weight = torch.randn(sum(LENGTHS), 2, 4, dtype=torch.float64)
    found = attend(*inputs, layout_of(LENGTHS), window=window)
    expected = one_by_one(*inputs, LENGTHS, window)
    for a, b in zip(
        torch.autograd.grad((found * weight).sum(), inputs),
        torch.autograd.grad((expected * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_heads_may_share_keys():
    query, key, value = states(LENGTHS, heads=4, key_heads=2)
    found = attend(query, key, value, layout_of(LENGTHS))
    torch.testing.assert_close(found, one_by_one(query, key, value, LENGTHS))


def test_the_scale_of_the_scores_is_the_callers():
    query, key, value = states(LENGTHS)
    found = attend(query, key, value, layout_of(LENGTHS), scaling=2.0)
    torch.testing.assert_close(found, one_by_one(query, key, value, LENGTHS, scaling=2.0))


def test_dropout_drops_attention_weights_and_scales_the_rest():
    query, key, _ = states((8,))
    value = torch.eye(8, dtype=torch.float64)[:, None, :].expand(8, 2, 8)
    weights = attend(query, key, value, layout_of((8,)))
    torch.manual_seed(3)
    found = attend(query, key, value, layout_of((8,)), dropout=0.5)
    kept = found != 0
    assert 0.3 < kept.double().mean() < 0.7
    torch.testing.assert_close(found, 2 * weights * kept)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 1])
def test_gradients_with_dropout_are_those_of_the_weights_that_are_kept(window, causal):
    """Compare with autograd through the definition, with dropout's mask read from the result."""
    lengths = (5, 3, 17)
    inputs = states(lengths)
    layout = layout_of(lengths, causal=causal)
    query, key, value = inputs
    eye = torch.cat([torch.eye(n, 17) for n in lengths])[:, None, :].double().expand(-1, 2, -1)
    torch.manual_seed(5)
    weights = attend(query, key, eye, layout, dropout=0.4, window=window).split(lengths)
    kept = [w[..., : len(w)].permute(1, 0, 2) != 0 for w in weights]
    torch.manual_seed(5)
    found = attend(query, key, value, layout, dropout=0.4, window=window)
    factor = 65536 / (65536 - round(0.4 * 65536))
    expected = one_by_one(query, key, value, lengths, window, causal=causal, kept=kept) * factor
    torch.testing.assert_close(found, expected)
    weight = torch.randn_like(found)
    for a, b in zip(
        torch.autograd.grad(found, inputs, weight),
        torch.autograd.grad(expected, inputs, weight),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", [(20, 7, 1), (16, 16)])
def test_products_and_torchs_attention_agree(dtype, causal, lengths):
    layout = layout_of(lengths, causal=causal)
    inputs = [x.detach().to(dtype).requires_grad_() for x in states(lengths, width=8)]
    found, expected = by_products(*inputs, layout), by_sdpa(*inputs, layout)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)
    weight = torch.randn_like(found)
    for a, b in zip(
        torch.autograd.grad(found, inputs, weight),
        torch.autograd.grad(expected, inputs, weight),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=2 * tolerance, rtol=2 * tolerance)


def test_no_token_attends_to_tokens_beyond_the_sequences_and_they_get_no_gradient():
    lengths = (5, 18)
    inputs = states((*lengths, 4))
    found = by_products(*inputs, layout_of(lengths))
    alone = by_products(*(x[:23] for x in inputs), layout_of(lengths))
    torch.testing.assert_close(found[:23], alone)
    for x in torch.autograd.grad(found.sum(), inputs):
        assert not x[23:].any()


def test_long_sequences_in_bf16_use_torchs_kernel_unless_there_is_dropout():
    query = torch.zeros(600, 2, 4, dtype=torch.bfloat16)
    short, long = layout_of((300, 300)), layout_of((600,))
    assert prefers_products(query, query, short, 0.0)
    assert not prefers_products(query, query, long, 0.0)
    assert prefers_products(query, query, long, 0.1)
    assert not prefers_products(query.float(), query.float(), short, 0.0)
    assert not prefers_products(query, query[:, :1], short, 0.1)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_differentiating_twice_is_an_error_and_not_a_wrong_number(dropout):
    query, key, value = (x.detach().float().requires_grad_() for x in states(LENGTHS))
    attended = attend(query, key, value, layout_of(LENGTHS), dropout=dropout)
    (first,) = torch.autograd.grad(attended.sin().sum(), query, create_graph=True)
    with pytest.raises(RuntimeError, match=r"twice|not implemented"):
        first.square().sum().backward()
