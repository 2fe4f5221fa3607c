"""Token embeddings that keep the gradient of the rows that were read, and of no others.

torch gives an embedding a gradient with a row for each token of the vocabulary, or a sparse one; a
CPU is slow to fill the first, and slow to add either to the gradient of a tied LM decoder.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tartan.gradient import Rows


class Embedding(nn.Embedding):
    """`torch.nn.Embedding`; told to, it keeps the gradient of what it reads: a `Lookup`.

    It keeps it in a backward pass, but past autograd: neither `.grad` nor `torch.autograd.grad`
    sees it.
    """

    weight: nn.Parameter

    def __init__(self, weight: nn.Parameter, padding_idx: int | None = None) -> None:
        """Look up rows of a weight, [rows, width]; one of them may have no gradient."""
        rows, width = weight.shape
        super().__init__(rows, width, padding_idx, device="meta")
        self.weight = weight
        self._keeps = False
        self._kept: Rows | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Embeddings [..., width] of tokens [...] int64."""
        trains = self.weight.requires_grad and torch.is_grad_enabled()
        if not (self._keeps and trains):
            return super().forward(input)
        # The weight itself stays out of the graph, where autograd would visit it in vain.
        anchor = torch.empty((), requires_grad=True)
        found: Tensor = _Rows.apply(anchor, self, input)  # type: ignore[no-untyped-call]
        return found

    def keep(self, tokens: Tensor, rows: Tensor) -> None:
        """Keep the gradient, [..., width] float, of tokens, [...] int64, with what is kept."""
        if self.padding_idx is not None:
            rows = rows.masked_fill((tokens == self.padding_idx)[..., None], 0)
        more = Rows.of(tokens.flatten(), rows.flatten(0, -2).to(self.weight.dtype))
        self._kept = more if self._kept is None else self._kept.plus(more)

    def begin(self) -> None:
        """Keep the gradient of what is read from now on."""
        self._keeps, self._kept = True, None

    def take(self) -> Rows | None:
        """What was kept since; None if nothing was. Nothing is kept after."""
        kept, self._keeps, self._kept = self._kept, False, None
        return kept


class _Rows(torch.autograd.Function):
    """Rows of an embedding's weight; the embedding itself keeps their gradient."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, embedding: Embedding, tokens: Tensor) -> Tensor:  # noqa: ARG004
        ctx.save_for_backward(tokens)
        ctx.embedding = embedding
        return embedding.weight[tokens]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, None]:
        (tokens,) = ctx.saved_tensors
        ctx.embedding.keep(tokens, grads[0])
        return None, None, None


def replace_embeddings(model: PreTrainedModel) -> Embedding | None:
    """Have the token embeddings of a model be an `Embedding`, and return it.

    None where they are frozen, or of a kind that their family has for itself.
    """
    old = model.get_input_embeddings()
    if isinstance(old, Embedding):
        return old
    if type(old) is not nn.Embedding or old.max_norm is not None or old.scale_grad_by_freq:
        return None
    weight = old.weight
    if not isinstance(weight, nn.Parameter) or not weight.requires_grad:
        return None
    new = Embedding(weight, old.padding_idx)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if child is old:
                setattr(module, name, new.train(old.training))
    return new
