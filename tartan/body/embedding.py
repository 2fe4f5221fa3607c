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

    It does so in a backward pass, but past autograd: `torch.autograd.grad` does not see them.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Embeddings [..., width] of tokens [...] int64."""
        if self.weight.grad is None or not torch.is_grad_enabled():
            return super().forward(input)
        found: Tensor = _Rows.apply(self.weight, input, self.padding_idx)  # type: ignore[no-untyped-call]
        return found


class _Rows(torch.autograd.Function):
    """Rows of a weight; their gradient goes straight to the weight's `.grad`."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, tokens: Tensor, padding: int | None) -> Tensor:
        ctx.save_for_backward(tokens)
        ctx.weight, ctx.padding = weight, padding
        return weight[tokens]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, None]:
        (tokens,) = ctx.saved_tensors
        rows = grads[0]
        if ctx.padding is not None:
            rows = rows.masked_fill((tokens == ctx.padding)[..., None], 0)
        ctx.weight.grad.index_add_(0, tokens.flatten(), rows.flatten(0, -2).to(ctx.weight.dtype))
        return None, None, None


def replace_embeddings(model: PreTrainedModel) -> None:
    """Have the token embeddings of a model be an `Embedding`, unless their family has its own."""
    old = model.get_input_embeddings()
    if type(old) is not nn.Embedding or old.max_norm is not None or old.scale_grad_by_freq:
        return
    new = Embedding(old.num_embeddings, old.embedding_dim, old.padding_idx, _weight=old.weight)
    new.weight = old.weight
    for module in list(model.modules()):
        for name, child in module.named_children():
            if child is old:
                setattr(module, name, new.train(old.training))
