"""Token embeddings whose gradient is added to `.grad` row by row.

torch gives an embedding a gradient with a row for each token of the vocabulary, or a sparse one; a
CPU is slow to fill the first, and slow to add either to the gradient of a tied LM decoder.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


class Embedding(nn.Embedding):
    """`torch.nn.Embedding` that adds the rows of the tokens it read to a `.grad` that is there.

    It does so in a backward pass, but past autograd: `torch.autograd.grad` does not see them. As a
    `tartan.gradient.Lookup` it knows which rows they are.
    """

    weight: nn.Parameter

    def __init__(self, weight: nn.Parameter, padding_idx: int | None = None) -> None:
        """Look up rows of a weight, [rows, width]; one of them may have no gradient."""
        rows, width = weight.shape
        super().__init__(rows, width, padding_idx, device="meta")
        self.weight = weight
        self._read: list[Tensor] | None = None  # None where nobody asked, or autograd added to all
        weight.register_post_accumulate_grad_hook(self._accumulated)

    def forward(self, input: Tensor) -> Tensor:
        """Embeddings [..., width] of tokens [...] int64."""
        trains = self.weight.requires_grad and torch.is_grad_enabled()
        if self.weight.grad is None or not trains:
            return super().forward(input)
        # The weight itself stays out of the graph, where autograd would visit it in vain.
        anchor = torch.empty((), requires_grad=True)
        found: Tensor = _Rows.apply(anchor, self, input)  # type: ignore[no-untyped-call]
        return found

    def add(self, tokens: Tensor, rows: Tensor) -> None:
        """Add the gradient, [..., width] float, of tokens, [...] int64, to what is in `.grad`."""
        assert self.weight.grad is not None
        if self.padding_idx is not None:
            rows = rows.masked_fill((tokens == self.padding_idx)[..., None], 0)
        if self._read is not None:
            self._read.append(tokens.flatten())
        self.weight.grad.index_add_(0, tokens.flatten(), rows.flatten(0, -2).to(self.weight.dtype))

    def begin(self) -> None:
        """From now on, remember what is read: a gradient begins, at 0."""
        self._read = []

    def seen(self) -> Tensor | None:
        """[n] int64, distinct: rows with a gradient since; None if autograd has added to all.

        What is read from now on is not remembered.
        """
        read, self._read = self._read, None
        if read is None:
            return None
        rows: Tensor = torch.cat([torch.empty(0, dtype=torch.int64), *read]).unique()
        return rows

    def _accumulated(self, _: Tensor) -> None:
        """Autograd, which sees no lookup, has added a gradient of the whole weight."""
        self._read = None


class _Rows(torch.autograd.Function):
    """Rows of an embedding's weight; their gradient goes straight to the weight's `.grad`."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, embedding: Embedding, tokens: Tensor) -> Tensor:  # noqa: ARG004
        ctx.save_for_backward(tokens)
        ctx.embedding = embedding
        return embedding.weight[tokens]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, None]:
        (tokens,) = ctx.saved_tensors
        ctx.embedding.add(tokens, grads[0])
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
