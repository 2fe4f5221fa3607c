"""Verify in half precision, on a body's device, the faster ways to compute the same hidden states.

Each check returns why a way cannot be used, or None if it can. Hidden states and their gradient
must have the same direction; rounding makes them differ otherwise.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from tartan.body.bf16 import Bf16Layers
from tartan.body.kernels import varlen
from tartan.body.kernels.varlen_dropout import reason_against_dropout
from tartan.body.reading import first_position, make_layout, read_packed
from tartan.body.verification import FAILURES
from tartan.errors import with_type
from tartan.packed import Packed

AGREEMENT = 0.999
"""The least cosine between two ways to compute the same."""

Found = tuple[Tensor, Tensor]
"""Hidden states [tokens, hidden] and the gradient of the token embeddings [vocabulary, width]."""


def reason_against_varlen(model: PreTrainedModel, packed: Packed) -> str | None:
    """Compare the variable-length kernel with attention in buckets.

    Args:
        model: a model in eval mode that reads packed, on its device, in the precision of training.
        packed: sequences of `trial`.

    Returns:
        Why the kernel cannot be used; None if it can.
    """
    return _compare(
        "attention in buckets", lambda: _read(model, packed), lambda: _read(model, packed, True)
    )


def reason_against_varlen_dropout(model: PreTrainedModel, dtype: torch.dtype) -> str | None:
    """Verify the variable-length kernel's dropout, which training uses, on the model's device.

    Args:
        model: a model on which `reason_against_varlen` found nothing.
        dtype: the precision of training.

    Returns:
        Why the kernel cannot be used; None if it can.
    """
    heads = model.config.num_attention_heads
    size = getattr(model.config, "head_dim", None) or model.config.hidden_size // heads
    kernel = varlen.kernel_for(torch.empty(1, heads, size, dtype=dtype, device=model.device))
    if kernel is None:
        return f"heads of {size} in {dtype} on {model.device.type} have no such kernel"
    try:
        return reason_against_dropout(kernel, heads, size, model.device, dtype)
    except (*FAILURES, ImportError) as error:
        return with_type(error, whole=False)


def reason_against_bf16(
    model: PreTrainedModel, packed: Packed, layers: Bf16Layers, *, varlen: bool
) -> str | None:
    """Compare layers that compute in bf16 with the same layers under autocast.

    Args:
        model: a model in eval mode that reads packed, on its device, under autocast.
        packed: sequences of `trial`.
        layers: the model's.
        varlen: whether it uses the device's variable-length kernel.

    Returns:
        Why the layers cannot be used; None if they can.
    """

    def read() -> Found:
        with layers.step():
            return _read(model, packed, varlen)

    return _compare("autocast", lambda: _read(model, packed, varlen), read)


def reason_against_graphs(model: PreTrainedModel, packed: Packed, layers: Bf16Layers) -> str | None:
    """Compare layers whose kernels a graph launches with the same layers, kernel by kernel.

    Args:
        model: a model in eval mode that reads packed, on its device, under autocast, with the
            variable-length kernel.
        packed: sequences of `trial`.
        layers: the model's, with graphs.

    Returns:
        Why graphs cannot be used; None if they can.
    """

    def read() -> Found:
        with layers.step():
            return _read(model, packed, True, few_sizes=True)

    def recorded() -> Found:
        read()  # a combination is recorded when it occurs again
        return read()

    return _compare("single launches", read, recorded) or layers.not_recorded_because


def _compare(name: str, known: Callable[[], Found], other: Callable[[], Found]) -> str | None:
    """Return why one way to compute does not agree with another of this name; None if it does."""
    try:
        pairs = zip(known(), other(), strict=True)
        cosines = [
            functional.cosine_similarity(a.flatten(), b.flatten(), dim=0).item() for a, b in pairs
        ]
    except (*FAILURES, ImportError) as error:
        return with_type(error, whole=False)
    if min(cosines) > AGREEMENT:  # False for NaN
        return None
    return f"cosine {min(cosines):.4f} with {name}"


def _read(
    model: PreTrainedModel, packed: Packed, varlen: bool = False, few_sizes: bool = False
) -> Found:
    """Compute hidden states, and the gradient of their product with a fixed direction."""
    embeddings = model.get_input_embeddings().get_parameter("weight")
    trained = embeddings.requires_grad
    embeddings.requires_grad_()
    try:
        layout = make_layout(
            packed.lengths, model.device, causal=packed.causal, varlen=varlen, few_sizes=few_sizes
        )
        hidden = read_packed(model, packed, first_position(model), layout=layout).float()
        # Any fixed direction will do, but a sum of squares is constant after a layer norm.
        direction = torch.arange(hidden.numel(), device=hidden.device).sin().view_as(hidden)
        (gradient,) = torch.autograd.grad((hidden * direction).sum(), embeddings)
    finally:
        embeddings.requires_grad_(trained)
    return hidden.detach(), gradient
