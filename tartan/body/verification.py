"""Verify on a few short sequences how a model can be read: packed, causal, from embeddings.

Each check compares two ways to compute the same hidden states, and returns why the second cannot be
used, or None.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from tartan.body.kernels.attention import NAME
from tartan.body.layers import layers_of
from tartan.body.reading import first_position, read_packed, read_padded
from tartan.errors import ModelError, with_type
from tartan.packed import Packed
from tartan.quiet import quiet

FAILURES = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""Exceptions that a family raises when it is called in a way it does not support."""


def reason_against_packed(model: PreTrainedModel, packed: Packed, expected: Tensor) -> str | None:
    """Switch a model to packed attention; if that changes its hidden states, switch back.

    A family's claim to support transformers' attention interface is not enough: positions relative
    to the row, convolutions across sequences or statistics over the row give other hidden states.
    Packed attention itself refuses what it does not compute, such as capped scores.

    Args:
        model: a model in eval mode.
        packed: sequences of `trial`.
        expected: [tokens, hidden] float, the hidden states of `read_by_length`.

    Returns:
        Why the model has to read padded sequences; None if it reads packed ones from now on.
    """
    if not model._supports_attention_backend:
        return f"{model.config.model_type} does not use transformers' attention interface"
    own = model.config._attn_implementation
    with torch.no_grad(), quiet():
        try:
            model.set_attn_implementation(NAME)
            if agree(expected, read_packed(model, packed, first_position(model))):
                vars(model)["warn_if_padding_and_no_attention_mask"] = _find_no_padding
                return None
            reason = "hidden states of packed and padded sequences differ"
        except ModelError as error:
            reason = str(error)
        except FAILURES as error:
            reason = with_type(error)
        model.set_attn_implementation(own)
    return reason


def _find_no_padding(*_: object) -> None:
    """Find no padding in packed sequences. Some families look for it, which waits for a GPU."""


def reason_against_padding(model: PreTrainedModel, packed: Packed, expected: Tensor) -> str | None:
    """Compare hidden states of padded sequences with those of each sequence alone.

    Args:
        model: a model in eval mode that does not read packed.
        packed: sequences of `trial`.
        expected: [tokens, hidden] float, the hidden states of `read_by_length`.

    Returns:
        Why sequences cannot be padded; None if they can.
    """
    return difference(
        lambda: (expected, read_padded(model, replace(packed, causal=False))),
        "hidden states depend on the padding behind a sequence",
    )


def reason_against_places(
    read: Callable[[Packed], Tensor], packed: Packed, *, backwards: bool
) -> str | None:
    """Compare sequences with the same sequences in another order, with their tokens' places.

    A random order, as backwards alone keeps distances, and so windows that follow the layout.

    Args:
        read: from sequences to hidden states [tokens, hidden], of a model in eval mode.
        packed: sequences of `trial`, longer than the model's windows.
        backwards: lay them out backwards instead.

    Returns:
        Why the model cannot read sequences in this order; None if it can.
    """
    rows = torch.arange(len(packed.lengths)).repeat_interleave(torch.tensor(packed.lengths))
    noise = torch.rand(len(rows), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    within = -packed.positions.cpu().double() / len(rows) if backwards else noise
    order = torch.argsort(rows + within).to(packed.input_ids.device)
    laid = Packed(packed.input_ids[order], packed.lengths, places=packed.positions[order])
    return difference(
        lambda: (read(packed)[order], read(laid)),
        "its hidden states depend on the order in which tokens are laid out",
    )


def reason_against_embeddings(
    read: Callable[[Packed, Tensor | None], Tensor],
    embed: Callable[[Packed], Tensor],
    packed: Packed,
) -> str | None:
    """Compare hidden states of token ids with those of their embeddings.

    Args:
        read: from sequences, and perhaps their embeddings [tokens, width], to hidden states
            [tokens, hidden], of a model in eval mode.
        embed: from sequences to their embeddings.
        packed: sequences of `trial`.

    Returns:
        Why the model cannot read embeddings; None if it can.
    """
    return difference(
        lambda: (read(packed, None), read(packed, embed(packed))),
        "hidden states of token ids and of their embeddings differ",
    )


def after_attention(model: PreTrainedModel, packed: Packed) -> str | None:
    """Find the part after the last attention, if it can compute `wanted` tokens only.

    Attention reads all tokens. What follows it, three quarters of a layer's arithmetic, treats each
    token by itself: BERT and its descendants have a module there whose inputs are the attended
    values and the layer's input, each [1, tokens, hidden]. That no later part mixes tokens is
    verified.

    Args:
        model: a model in eval mode that reads packed.
        packed: sequences of `trial`.

    Returns:
        The module's name; None if there is no such module.
    """
    last = layers_of(model)[-1:]
    names = [name for name, module in model.named_modules() if [module] == last]
    name = f"{names[0]}.attention.output" if names else ""
    module = dict(model.named_modules()).get(name)
    if module is None:
        return None
    wanted = torch.arange(packed.input_ids.numel(), device=packed.input_ids.device)[1::3]
    first = first_position(model)
    with torch.no_grad(), quiet():
        try:
            found = read_packed(model, packed.want(wanted), first, narrow=module)
            expected = read_packed(model, packed, first)
            return name if agree(expected[wanted], found[wanted]) else None
        except FAILURES:
            return None


def difference(compute: Callable[[], tuple[Tensor, Tensor]], reason: str) -> str | None:
    """Compute hidden states in two ways, without gradients.

    Returns:
        The reason if they differ, the exception if a way fails; None if they agree.
    """
    with torch.no_grad(), quiet():
        try:
            return None if agree(*compute()) else reason
        except FAILURES as error:
            return with_type(error)


def agree(expected: Tensor, found: Tensor) -> bool:
    """Return True if two results are equal in float32 up to rounding; False for NaN."""
    if expected.shape != found.shape:
        return False
    bound = 1e-4 * expected.abs().max().clamp(min=1e-3)
    return bool((expected - found).abs().max() <= bound)
