"""Activations that are computed again: the same gradient, dropout included, from fewer of them."""

from copy import deepcopy

import pytest
import torch
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from tartan import ModelError
from tartan.body import checkpointing
from tartan.packed import Packed
from tartan.testing import tiny_source

FAMILIES = ["bert", "roberta", "modernbert", "deberta-v2"]


class Kept:
    """Counts the bytes that a forward pass keeps for the backward pass, each storage once."""

    def __init__(self, body):
        self.known = {p.untyped_storage().data_ptr() for p in body.parameters()}
        self.sizes = {}

    def pack(self, tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.known:
            self.sizes[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    @property
    def total(self):
        return sum(size for size, _ in self.sizes.values())


def gradient(body, packed, embeddings=None):
    """The gradient under one seed of dropout, and the bytes that were kept for it."""
    body.zero_grad()
    torch.manual_seed(5)
    kept = Kept(body)
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor):
        hidden = body(packed, embeddings)
    (hidden * torch.arange(hidden.numel()).sin().view_as(hidden)).sum().backward()
    return torch.cat(
        [p.grad.flatten() for p in body.parameters() if p.grad is not None]
    ), kept.total


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("family", FAMILIES)
def test_checkpointed_layers_have_the_same_gradient(family, mode, packed):
    body = getattr(tiny_source(family, num_hidden_layers=4).body(), mode)()
    expected, kept = gradient(body, packed)
    body.checkpoint_layers()
    found, kept_less = gradient(body, packed)
    assert torch.equal(found, expected)
    assert kept_less < 0.6 * kept


@pytest.mark.parametrize("way", ["layers", "parts"])
def test_a_pass_in_eval_mode_is_computed_again_in_eval_mode(way, packed, body):
    """The dev gradient is taken without dropout, on a body that then trains on."""
    expected, _ = gradient(body.eval(), packed)
    if way == "layers":
        body.checkpoint_layers()
    else:
        body.max_tokens = 40
    body.zero_grad()
    hidden = body.eval()(packed)
    direction = torch.arange(hidden.numel()).sin().view_as(hidden)
    body.train()
    (hidden * direction).sum().backward()
    found = torch.cat([p.grad.flatten() for p in body.parameters()])
    assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert all(module.training for module in body.modules())


def test_wanted_tokens_alone_are_computed_in_the_last_layer(packed, body):
    wanted = packed.want(packed.starts)
    body.eval()
    expected = body(wanted)[wanted.wanted]
    body.checkpoint_layers()
    assert_close(body(wanted)[wanted.wanted], expected)
    gradient(body, wanted)


def test_under_bf16_too(packed):
    first, found = tiny_source("bert", num_hidden_layers=3).body(), []
    for checkpointed in (False, True):
        body = deepcopy(first)
        if checkpointed:
            body.checkpoint_layers()
        assert body.use_bf16(torch.autocast("cpu", torch.bfloat16)) is None
        weights = list(body.parameters())
        torch.manual_seed(5)
        with torch.autocast("cpu", torch.bfloat16), body.same_weights():
            hidden = body(packed)
            direction = torch.arange(hidden.numel()).sin().view_as(hidden)
            gradients = torch.autograd.grad((hidden * direction).sum(), weights)
        found.append(torch.cat([each.flatten() for each in gradients]))
    assert found[0].any()
    assert torch.equal(*found)


def test_a_family_that_cannot_is_refused(body, monkeypatch):
    monkeypatch.setattr(type(body.model), "supports_gradient_checkpointing", False)
    with pytest.raises(ModelError, match=r"model.gradient_checkpointing=true: bert does not supp"):
        body.checkpoint_layers()


def test_compiled_layers_are_not_checkpointed(body):
    body.checkpoint_layers()
    with pytest.raises(ModelError, match="exclude each other"):
        body.compile_layers()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pass_in_parts_has_the_same_gradient(family, packed):
    body = tiny_source(family).body().eval()
    expected, kept = gradient(body, packed)
    passes = []
    body.model.register_forward_pre_hook(lambda *_: passes.append(1))
    body.max_tokens = 40
    found, kept_less = gradient(body, packed)
    assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert len(passes) == 2 * len(packed.split(40))  # forward, and again on the way back
    assert kept_less < 0.5 * kept


def test_embeddings_are_divided_with_their_tokens(packed, body):
    body.eval()
    embeddings = body.embed(packed).detach() * 2
    expected, _ = gradient(body, packed, embeddings)
    body.max_tokens = 40
    assert_close(gradient(body, packed, embeddings)[0], expected, atol=1e-5, rtol=1e-5)


def test_dropout_of_a_part_is_the_same_on_the_way_back(packed, body):
    """The gradient is that of the loss which the same masks give, so a small step changes it so."""
    body.max_tokens = 40
    direction = torch.arange(packed.input_ids.numel() * body.hidden_size).sin()

    def loss():
        torch.manual_seed(3)
        return (body(packed).flatten().double() * direction).sum()

    weight = body.model.encoder.layer[0].output.dense.weight
    (slope,) = torch.autograd.grad(loss(), weight)
    with torch.no_grad():
        step = 1e-2 * slope / slope.norm()
        weight.add_(step)
        above = loss()
        weight.sub_(2 * step)
        below = loss()
    assert (above - below) / 2 == pytest.approx(float((slope * step).sum()), rel=1e-2)


@pytest.mark.parametrize("way", ["layers", "parts"])
def test_random_states_of_the_tokens_device_are_kept(way, packed, body, monkeypatch):
    """torch keeps the CPU's, and those of the devices of tensors among the arguments."""
    devices = []

    def kept(function, *args, **options):
        devices.append({each.device.type for each in args if isinstance(each, torch.Tensor)})
        return checkpoint(function, *args, **options)

    if way == "layers":
        monkeypatch.setattr("transformers.modeling_utils.checkpoint", kept)
        body.checkpoint_layers()
    else:
        monkeypatch.setattr(checkpointing, "checkpoint", kept)
        body.max_tokens = 40
    body.train()(packed)
    assert devices
    assert all(found == {"cpu"} for found in devices)


def test_packed_sequences_are_split_between_sequences():
    packed = Packed(torch.arange(12), (3, 4, 2, 3), torch.arange(12) % 2, causal=True)
    parts = packed.split(7)
    assert [part.lengths for part in parts] == [(3, 4), (2, 3)]
    assert torch.equal(torch.cat([part.input_ids for part in parts]), packed.input_ids)
    assert torch.equal(torch.cat([part.segments for part in parts]), packed.segments)
    assert all(part.causal for part in parts)
    assert [part.lengths for part in packed.split(1)] == [(3,), (4,), (2,), (3,)]
    assert packed.split(12) == [packed]
