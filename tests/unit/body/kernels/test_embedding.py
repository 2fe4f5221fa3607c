"""Gradients of token embeddings are sparse on a CPU, and what autograd computes anyway."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tartan.body.kernels.embedding import sparse_embedding_gradient
from tartan.testing import PACKED_FAMILIES, tiny_source


def gradient(body, packed, *, sparse):
    """Return the gradient of a body's token embeddings by `torch.autograd.grad`."""
    weight = body.model.get_input_embeddings().weight
    with sparse_embedding_gradient(body.model) if sparse else nullcontext():
        return torch.autograd.grad(body(packed).sin().sum(), weight)[0]


@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_autograd_sees_the_sparse_gradient(family, packed):
    body = tiny_source(family).body().eval()
    dense, sparse = (gradient(body, packed, sparse=each) for each in (False, True))
    assert not dense.is_sparse
    assert sparse.is_sparse
    assert_close(sparse.to_dense(), dense)


def test_gradients_are_dense_again_after_the_block(body, packed):
    gradient(body, packed, sparse=True)
    assert not gradient(body, packed, sparse=False).is_sparse


@pytest.mark.parametrize("option", ["scale_grad_by_freq", "parametrised"])
def test_embeddings_that_cannot_be_sparse_stay_dense(option, body, packed):
    embedding = body.model.get_input_embeddings()
    if option == "parametrised":
        nn.utils.parametrizations.weight_norm(embedding)
    else:
        embedding.scale_grad_by_freq = True
    with sparse_embedding_gradient(body.model):
        body(packed).sum().backward()
    assert not any(p.grad.is_sparse for p in body.parameters() if p.grad is not None)
