"""Token embeddings that keep the gradient of what they read: what autograd adds up."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tartan.body.embedding import Embedding, replace_embeddings
from tartan.testing import tiny_source

TOKENS = torch.tensor([[3, 1, 3], [0, 5, 3]])


def pair(padding: int | None = None) -> tuple[nn.Embedding, Embedding]:
    """torch's embedding and tartan's, alike."""
    torch.manual_seed(0)
    plain = nn.Embedding(6, 4, padding)
    return plain, Embedding(nn.Parameter(plain.weight.detach().clone()), padding)


@pytest.mark.parametrize("padding", [None, 3])
def test_it_keeps_what_autograd_would_add(padding):
    plain, own = pair(padding)
    own.begin()
    found = [embedding(TOKENS) for embedding in (plain, own)]
    assert_close(found[1], found[0])
    for each, embedding in zip(found, (plain, own), strict=True):
        # A tied decoder's gradient comes by autograd in the same backward pass.
        (each.pow(3).sum() + embedding.weight.square().sum()).backward()
    kept = own.take()
    assert kept.index.tolist() == [0, 1, 3, 5]
    assert_close(kept.add_to(own.weight.grad), plain.weight.grad)


def test_passes_add_up_until_it_is_taken():
    plain, own = pair()
    own.begin()
    for tokens in (TOKENS, torch.tensor([4, 0])):
        for embedding in (plain, own):
            embedding(tokens).pow(3).sum().backward()
    assert own.weight.grad is None
    kept = own.take()
    assert kept.index.tolist() == [0, 1, 3, 4, 5]
    assert_close(kept.add_to(torch.zeros(6, 4)), plain.weight.grad)
    own.begin()
    own(torch.tensor([2, 2])).sum().backward()
    assert own.take().index.tolist() == [2]
    own.begin()
    assert own.take() is None


def test_where_nobody_asked_it_is_torchs_embedding():
    plain, own = pair()
    own.begin()
    own.take()
    for embedding in (plain, own):
        embedding(TOKENS).pow(3).sum().backward()
    assert_close(own.weight.grad, plain.weight.grad)
    assert own.take() is None


def test_embeddings_frozen_since_keep_nothing():
    _, own = pair()
    own.weight.requires_grad_(False)
    own.begin()
    assert not own(TOKENS).requires_grad
    with torch.no_grad():
        assert not own(TOKENS).requires_grad


def test_frozen_embeddings_are_left_alone():
    model = tiny_source("bert").body().model
    model.get_input_embeddings().weight.requires_grad_(False)
    assert replace_embeddings(model) is None
    assert type(model.get_input_embeddings()) is nn.Embedding


def test_they_are_replaced_once():
    model = tiny_source("bert").body().model
    assert replace_embeddings(model) is replace_embeddings(model) is model.get_input_embeddings()


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_a_models_own_are_replaced_under_the_same_names(family):
    model = tiny_source(family).body().model
    weight, names = model.get_input_embeddings().weight, list(model.state_dict())
    replace_embeddings(model)
    assert type(model.get_input_embeddings()) is Embedding
    assert model.get_input_embeddings().weight is weight
    assert list(model.state_dict()) == names
