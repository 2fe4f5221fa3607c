"""Cross-entropy over a vocabulary, its gradient worked out along with the loss.

`torch.nn.functional.cross_entropy` goes over [items, vocabulary] in float32 half a dozen times, and
holds three arrays of it. Here rows are finished a few at a time, while they are in the cache, and
what is held is the gradient, in the logits' own dtype (as Hsu et al., "Liger Kernel", 2024).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ROWS = 64
"""Rows that a CPU finishes together; elsewhere it is all of them."""


def cross_entropy(logits: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Score logits against the right tokens, in float32.

    Args:
        logits: [items, vocabulary] float.
        tokens: [items] int64.

    Returns:
        [] float32, the sum of the items' cross-entropies; and [] int64, how many items have no
        logit above that of their token. The second has no gradient.
    """
    total, right = _CrossEntropy.apply(logits, tokens)  # type: ignore[no-untyped-call]
    return total, right


class _CrossEntropy(torch.autograd.Function):
    """Holds on to the gradient of the sum alone."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        rows = ROWS if logits.device.type == "cpu" else max(len(tokens), 1)
        gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        losses, right = [logits.new_zeros((), dtype=torch.float32)], tokens.new_zeros(())
        for start in range(0, len(tokens), rows):
            part, wanted = logits[start : start + rows], tokens[start : start + rows, None]
            logs = torch.log_softmax(part, 1, dtype=torch.float32)
            losses.append(-logs.gather(1, wanted).sum())
            right += (part.gather(1, wanted) >= part.amax(1, keepdim=True)).sum()
            if gradient is not None:
                shares = logs.exp_()
                shares.scatter_add_(1, wanted, shares.new_full(wanted.shape, -1))
                gradient[start : start + rows] = shares
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(right)
        return torch.stack(losses).sum(), right

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * grads[0].to(gradient.dtype), None
