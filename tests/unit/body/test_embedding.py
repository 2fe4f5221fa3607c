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
    plain, own = nn.Embedding(6, 4, padding), Embedding(6, 4, padding)
    own.load_state_dict(plain.state_dict())
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


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_a_models_own_are_replaced_under_the_same_names(family):
    model = tiny_source(family).body().model
    weight, names = model.get_input_embeddings().weight, list(model.state_dict())
    replace_embeddings(model)
    assert type(model.get_input_embeddings()) is Embedding
    assert model.get_input_embeddings().weight is weight
    assert list(model.state_dict()) == names
