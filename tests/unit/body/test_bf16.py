"""Layers that compute in bf16: their gradients have float32's direction, and reach its weights."""

from contextlib import nullcontext

import pytest
import torch
from torch.nn.functional import cosine_similarity

from tartan.testing import tiny_source

NO_AUTOCAST = nullcontext()


def gradient(body, packed):
    """The gradient of a fixed direction of the hidden states, without dropout, flat."""
    body.zero_grad()
    with torch.autocast("cpu", torch.bfloat16), body.same_weights():
        hidden = body(packed)
        assert hidden.dtype == torch.float32
        (hidden * torch.arange(hidden.numel()).sin().view_as(hidden)).sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in body.parameters())
    return torch.cat([p.grad.flatten() for p in body.parameters()])


def exact_gradient(body, packed):
    body.zero_grad()
    hidden = body(packed)
    (hidden * torch.arange(hidden.numel()).sin().view_as(hidden)).sum().backward()
    return torch.cat([p.grad.flatten() for p in body.parameters()])


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert", "qwen3", "llama"])
def test_gradients_have_the_direction_of_float32(family, packed):
    body = tiny_source(family).body().eval()
    expected = exact_gradient(body, packed)
    assert body.use_bf16(torch.autocast("cpu", torch.bfloat16)) is None
    found = gradient(body, packed)
    assert cosine_similarity(expected, found, dim=0) > 0.999
    assert found.norm() / expected.norm() == pytest.approx(1, abs=0.01)
    assert torch.equal(exact_gradient(body, packed), expected)  # outside of a step nothing changed


def test_depth_does_not_turn_it(packed):
    body = tiny_source("roberta", num_hidden_layers=12).body().eval()
    expected = exact_gradient(body, packed)
    assert body.use_bf16(torch.autocast("cpu", torch.bfloat16)) is None
    assert cosine_similarity(expected, gradient(body, packed), dim=0) > 0.999


def test_several_passes_of_a_step_share_one_cast(packed, body):
    """A pass without gradient, and a backward pass of each objective, as META takes them."""
    assert body.eval().use_bf16(torch.autocast("cpu", torch.bfloat16)) is None
    once = gradient(body, packed)
    body.zero_grad()
    with body.same_weights():
        with torch.no_grad():
            body(packed)
        for _ in range(2):
            hidden = body(packed)
            (hidden * torch.arange(hidden.numel()).sin().view_as(hidden)).sum().backward()
    twice = torch.cat([p.grad.flatten() for p in body.parameters()])
    torch.testing.assert_close(twice, 2 * once)


def test_a_step_that_fails_restores_the_parameters(body, packed):
    before = dict(body.named_parameters())
    assert body.use_bf16(NO_AUTOCAST) is None

    def fail():
        assert any(p is not before[name] for name, p in body.named_parameters())
        body(packed).sum() / (1 // 0)

    with pytest.raises(ZeroDivisionError), body.same_weights():
        fail()
    after = dict(body.named_parameters())
    assert after.keys() == before.keys()
    assert all(after[name] is parameter for name, parameter in before.items())


def test_a_body_that_pads_stays_under_autocast():
    body = tiny_source("deberta-v2").body()
    assert "deberta-v2 does not use" in str(body.use_bf16(NO_AUTOCAST))
    with body.same_weights():
        assert {p.dtype for p in body.parameters()} == {torch.float32}


def test_layers_that_compute_something_else_are_refused(body, monkeypatch):
    layer = body.model.encoder.layer[0]
    forward = type(layer).forward

    def off(self, hidden, *args, **options):
        return forward(
            self, hidden * (-1 if hidden.dtype == torch.bfloat16 else 1), *args, **options
        )

    monkeypatch.setattr(type(layer), "forward", off)
    assert "with autocast" in str(body.use_bf16(NO_AUTOCAST))
    with body.same_weights():
        assert {p.dtype for p in body.parameters()} == {torch.float32}
