"""Read left to right, a sequence's beginning is what it would be if nothing followed it."""

from dataclasses import replace

import pytest
import torch

from support.attention import attend, layout_of
from tartan.body import Body
from tartan.errors import ModelError
from tartan.packed import Packed
from tartan.testing import PACKED_FAMILIES, tiny_source

LENGTHS = (5, 1, 30, 5, 17, 33, 16)
CAUSAL_FAMILIES = (*PACKED_FAMILIES, "mpnet")


def attention_by_definition(query, key, value, lengths, window):
    """Compute attention in a loop over sequences, with weights written out."""
    rows = []
    for q, k, v in zip(*(x.split(lengths) for x in (query, key, value)), strict=True):
        distance = torch.arange(len(q))[:, None] - torch.arange(len(q))
        hidden = (distance < 0) | (distance > (len(q) if window is None else window))
        scores = torch.einsum("qhd,khd->hqk", q, k) * q.shape[-1] ** -0.5
        rows.append(
            torch.einsum("hqk,khd->qhd", scores.masked_fill(hidden, -torch.inf).softmax(-1), v)
        )
    return torch.cat(rows)


@pytest.mark.parametrize("window", [None, 0, 3, 100])
@pytest.mark.parametrize("lengths", [LENGTHS, (4, 4, 4), (9,), (1, 1)])
def test_attention_is_to_earlier_tokens_of_the_same_sequence(lengths, window):
    layout = layout_of(lengths, causal=True)
    inputs = [
        torch.randn(sum(lengths), 2, 4, dtype=torch.float64).requires_grad_() for _ in range(3)
    ]
    found = attend(*inputs, layout, window=window)
    expected = attention_by_definition(*inputs, lengths, window)
    torch.testing.assert_close(found, expected)
    weight = torch.randn(found.shape, dtype=torch.float64)
    for a, b in zip(
        torch.autograd.grad((found * weight).sum(), inputs),
        torch.autograd.grad((expected * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_a_beginning_is_read_as_if_nothing_followed(family, packed):
    body = tiny_source(family).body().eval()
    hidden = body(replace(packed, causal=True))
    for sequence, states in zip(
        packed.input_ids.split(packed.lengths), hidden.split(packed.lengths), strict=True
    ):
        for end in {1, (len(sequence) + 1) // 2, len(sequence)}:
            prefix = Packed(sequence[:end], (end,), causal=True)
            torch.testing.assert_close(states[:end], body(prefix), atol=5e-6, rtol=0)


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_a_token_changes_itself_and_later_tokens_of_its_sequence_alone(family):
    body = tiny_source(family).body().eval()
    ids = torch.arange(5, 29)
    changed = ids.clone()
    changed[11] = 60
    one, other = (body(Packed(x, (6, 10, 8), causal=True)) for x in (ids, changed))
    differs = (one - other).abs().amax(1) > 1e-5
    assert differs.nonzero().squeeze(1).tolist() == [11, 12, 13, 14, 15]


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_gradients_are_finite_also_in_bfloat16(family, packed):
    body = tiny_source(family).body()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = body(replace(packed, causal=True))
    hidden.float().pow(2).sum().backward()
    assert all(p.grad.isfinite().all() for p in body.parameters() if p.grad is not None)


def test_other_tokens_and_another_device_keep_the_direction():
    packed = Packed.of([[5, 6, 7]], causal=True)
    assert packed.with_input_ids(torch.tensor([7, 6, 5])).causal
    assert packed.to(torch.device("cpu")).causal
    assert not Packed.of([[5, 6, 7]]).causal


def test_a_family_without_causal_masks_is_refused_when_one_is_needed():
    body = tiny_source("deberta-v2").body()
    for ask in (lambda: body.check("causal"), lambda: body(Packed.of([[5, 6, 7]], causal=True))):
        with pytest.raises(ModelError, match=r"^deberta-v2 cannot read left to right") as caught:
            ask()
        assert "\n" not in str(caught.value)
    assert body(Packed.of([[5, 6, 7]])).isfinite().all()


def test_a_family_that_looks_ahead_in_spite_of_the_mask_cannot_read_left_to_right():
    class Ahead(torch.nn.Module):
        def __init__(self, embeddings):
            super().__init__()
            self.embeddings = embeddings

        def forward(self, **inputs):
            embedded = self.embeddings(**inputs)
            return embedded + embedded.roll(-1, 1)

    model = tiny_source("mpnet").body().model
    model.embeddings = Ahead(model.embeddings)
    body = Body(model)
    assert body.reason_against("causal") == "its hidden states depend on later tokens"


def test_trying_leaves_mode_and_random_state_alone(body):
    before = torch.get_rng_state()
    body.check("causal")
    assert body.training
    assert torch.equal(torch.get_rng_state(), before)
