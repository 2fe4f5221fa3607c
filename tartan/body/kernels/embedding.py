"""Sparse gradients of token embeddings on a CPU.

The dense gradient of an embedding has a row for each token of the vocabulary, nearly all of them 0.
torch's own option `sparse` leaves them out. Adding a sparse gradient to that of a tied decoder, and
measuring it, then costs next to nothing (benchmarks: docs/performance.md).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from transformers import PreTrainedModel


@contextmanager
def sparse_embedding_gradient(model: PreTrainedModel) -> Iterator[None]:
    """Compute the gradient of a model's token embeddings sparse while a block runs.

    Autograd treats it as any other gradient: `torch.autograd.grad` returns it, as a sparse tensor.
    It stays dense on an accelerator, and for embeddings that torch cannot differentiate sparsely
    or that are not a plain parameter.
    """
    embedding = model.get_input_embeddings()
    if not isinstance(embedding, nn.Embedding) or not _can_be_sparse(embedding):
        yield
        return
    before, embedding.sparse = embedding.sparse, True
    try:
        yield
    finally:
        embedding.sparse = before


def _can_be_sparse(embedding: nn.Embedding) -> bool:
    """Return True if an embedding's gradient can be sparse, and is faster so."""
    weight = embedding._parameters.get("weight")
    on_cpu = weight is not None and weight.device.type == "cpu"
    return on_cpu and not embedding.scale_grad_by_freq
