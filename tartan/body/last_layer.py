"""The last layer of a head: the linear layer whose outputs are its logits.

Which one it is differs between families (`classifier`, `classifier.out_proj`, `logits_proj`), so it
is found by trying: logits must follow each change of the layer's rows.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tartan.body.verification import agree

Compute = Callable[[], Tensor]
"""Computes a head's logits [..., outputs] of fixed hidden states, in eval mode."""


def find_last_layer(model: nn.Module, compute: Compute) -> nn.Linear | None:
    """Return the linear layer whose outputs are a head's logits; None if there is none.

    Args:
        model: the head; its weights are as before afterwards.
        compute: computes its logits.
    """
    with torch.no_grad():
        logits = compute()
        outputs = logits.shape[-1]
        candidates = [
            module
            for module in model.modules()
            if isinstance(module, nn.Linear) and module.out_features == outputs
        ]
        return next((c for c in reversed(candidates) if _gives(c, logits, compute)), None)


def _gives(layer: nn.Linear, logits: Tensor, compute: Compute) -> bool:
    """Return whether logits follow a layer's rows when each is changed in its own way."""
    factors = 1 + torch.arange(logits.shape[-1], device=logits.device)
    weight, bias = layer.weight.clone(), None if layer.bias is None else layer.bias.clone()
    expected = logits * factors
    try:
        layer.weight.mul_(factors[:, None]).mul_(2)
        expected = expected * 2
        if layer.bias is not None:
            layer.bias.mul_(2 * factors).add_(factors)
            expected = expected + factors
        return agree(expected, compute())
    finally:
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)


@torch.no_grad()
def reorder(layer: nn.Linear, order: Sequence[int]) -> None:
    """Give a layer its own rows in another order: row i becomes what row `order[i]` was."""
    for parameter in layer.parameters():
        parameter.copy_(parameter[list(order)])


def initialise(model: PreTrainedModel, layer: nn.Linear) -> None:
    """Give a layer new weights, sampled as the family samples those of a new head."""
    layer.weight = nn.Parameter(torch.empty_like(layer.weight))
    if layer.bias is not None:
        layer.bias = nn.Parameter(torch.empty_like(layer.bias))
    # Transformers initialises no parameter that it marked as loaded; these are not marked.
    model._init_weights(layer)


@torch.no_grad()
def scale_and_shift(layer: nn.Linear, scale: float, shift: float) -> None:
    """Have a layer give `scale` times its outputs plus `shift`, which is 0 without a bias."""
    layer.weight.mul_(scale)
    if layer.bias is not None:
        layer.bias.mul_(scale).add_(shift)
