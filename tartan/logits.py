"""Logits of learned weights, kept within bounds."""

import torch
from torch import Tensor


def bounded_logits(logits: Tensor, spread: float) -> Tensor:
    """Bound logits, [n]: none is lower than the highest by more than `spread`.

    A softmax depends on differences alone, so the highest is also kept within `spread` of 0: logits
    that all grow would lose precision. Logits within both bounds are returned unchanged.
    """
    top = logits.max()
    moved = (logits - top).clamp(min=-spread) + top.clamp(-spread, spread)
    within = (logits >= top - spread) & (top.abs() <= spread)
    return torch.where(within, logits, moved)
