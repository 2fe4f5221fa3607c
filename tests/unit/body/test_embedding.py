"""Token embeddings that add to `.grad` row by row: what autograd adds, with the same `.grad`."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tartan.body.embedding import Embedding, replace_embeddings
from tartan.testing import tiny_source

TOKENS = torch.tensor([[3, 1, 3], [0, 5, 3]])


def pair(padding: int | None = None) -> tuple[nn.Embedding, Embedding]:
    """torch's embedding and tartan's, alike, each with a `.grad` that holds something."""
    torch.manual_seed(0)
    plain = nn.Embedding(6, 4, padding)
    own = Embedding(nn.Parameter(plain.weight.detach().clone()), padding)
    for each in (plain, own):
        each.weight.grad = torch.full((6, 4), 0.5)
    return plain, own


@pytest.mark.parametrize("padding", [None, 3])
def test_the_rows_of_the_tokens_join_what_is_there(padding):
    results = []
    for embedding in pair(padding):
        found = embedding(TOKENS)
        # A tied decoder's gradient comes by autograd in the same backward pass.
        (found.pow(3).sum() + embedding.weight.square().sum()).backward()
        results.append((found.detach(), embedding.weight.grad))
    assert_close(results[1], results[0])


def test_without_a_grad_it_is_torchs_embedding():
    plain, own = pair()
    for embedding in (plain, own):
        embedding.weight.grad = None
        embedding(TOKENS).pow(3).sum().backward()
    assert_close(own.weight.grad, plain.weight.grad)


def test_a_view_of_a_flat_buffer_is_written_to():
    _, own = pair()
    flat = torch.zeros(30)
    own.weight.grad = flat[6:].view(6, 4)
    own(TOKENS).sum().backward()
    assert_close(flat[6:].view(6, 4).sum(1), torch.tensor([4.0, 4, 0, 12, 0, 4]))
    assert flat[:6].abs().sum() == 0


def test_it_knows_the_rows_that_were_read_since_a_gradient_began():
    _, own = pair()
    own.begin()
    assert own.seen().tolist() == []
    own.begin()
    for tokens in (TOKENS, torch.tensor([4])):
        own(tokens).sum().backward()
    assert own.seen().tolist() == [0, 1, 3, 4, 5]
    own.begin()
    own(torch.tensor([2, 2])).sum().backward()
    assert own.seen().tolist() == [2]


def test_it_remembers_nothing_where_nobody_asked():
    _, own = pair()
    own(TOKENS).sum().backward()
    assert own.seen() is None
    own.begin()
    own.seen()
    own(TOKENS).sum().backward()
    assert own.seen() is None


@pytest.mark.parametrize("first", ["decoder", "lookup"])
def test_it_knows_of_no_row_where_a_decoder_adds_to_all(first):
    _, own = pair()
    own.begin()
    uses = {"decoder": own.weight.sum, "lookup": lambda: own(TOKENS).sum()}
    for name in sorted(uses, reverse=first == "lookup"):
        uses[name]().backward()
    assert own.seen() is None


def test_without_a_grad_it_knows_of_no_row():
    _, own = pair()
    own.weight.grad = None
    own.begin()
    own(TOKENS).sum().backward()
    assert own.seen() is None


def test_embeddings_frozen_since_keep_their_grad():
    _, own = pair()
    own.weight.requires_grad_(False)
    assert not own(TOKENS).requires_grad
    assert_close(own.weight.grad, torch.full((6, 4), 0.5))


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
