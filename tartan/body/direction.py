"""Verify which way a model reads: in both directions, or left to right."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from tartan.body.reading import read_padded
from tartan.body.verification import difference
from tartan.packed import Packed

SHORT = 8
"""Tokens of the sequence that shows whether a model looks ahead."""


@torch.no_grad()
def looks_back_only(model: PreTrainedModel, packed: Packed) -> bool:
    """Return whether hidden states never depend on later tokens, as in decoders.

    Args:
        model: a model in eval mode.
        packed: sequences of `trial`.
    """
    longest = packed.lengths[1] if len(packed.lengths) > 1 else packed.lengths[0]
    tokens = packed.input_ids[packed.lengths[0] :][: min(SHORT, longest)]
    half = (len(tokens) + 1) // 2
    if half == len(tokens):
        return False  # positions for a single token leave nothing to compare
    whole = read_padded(model, Packed(tokens, (len(tokens),)))[:half]
    alone = read_padded(model, Packed(tokens[:half], (half,)))
    bound = 1e-5 * whole.abs().max()
    return bool((whole - alone).abs().max() <= bound)


def reason_against_causal(read: Callable[[Packed], Tensor], packed: Packed) -> str | None:
    """Compare the first half of each sequence, read alone, with the same tokens of the sequence.

    Args:
        read: from sequences to hidden states [tokens, hidden], of a model in eval mode.
        packed: sequences of `trial`.

    Returns:
        Why the model cannot read left to right; None if it can.
    """
    lengths = torch.tensor(packed.lengths, device=packed.input_ids.device)
    halves = (lengths + 1) // 2
    kept = packed.positions < halves.repeat_interleave(lengths)
    cut = Packed(packed.input_ids[kept], tuple(halves.tolist()), causal=True)
    return difference(
        lambda: (read(cut), read(replace(packed, causal=True))[kept]),
        "its hidden states depend on later tokens",
    )
