"""The sequences on which a model is verified."""

from itertools import cycle

import torch
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from tartan.body.reading import first_position, position_limit
from tartan.packed import Packed

LEARNED_POSITIONS = 1024
"""Up to this many positions, `trial` has more tokens than there are positions."""


def trial(model: PreTrainedModel) -> Packed:
    """Make sequences of different lengths and tokens, a mask token among them, to verify with.

    They are longer than the model's attention window, and have more tokens than it has learned
    positions: a family that looks up positions in the whole row then fails.
    """
    limit = position_limit(model)
    learned = limit if limit is not None and limit <= LEARNED_POSITIONS else 0
    window = _window(model.config)
    longest = min(max(24, window + 8, learned // 4), limit or LEARNED_POSITIONS)
    sizes = [min(3, longest)]
    for size in cycle((longest, longest // 2 + 1, longest - 1)):
        if len(sizes) > 3 and sum(sizes) > learned + first_position(model):
            break
        sizes.append(max(1, size))
    tokens = trial_tokens(model.config, sum(sizes)).to(model.device)
    return Packed(tokens, tuple(sizes))


def _window(config: PretrainedConfig) -> int:
    """Return the size of a model's attention windows, 0 if it has none."""
    own = vars(config)  # a configuration by layer refuses to give one for all
    size = (
        own["sliding_window"] if "sliding_window" in own else getattr(config, "sliding_window", 0)
    )
    return size or 0


def trial_tokens(config: PretrainedConfig, count: int) -> Tensor:
    """Return [count] int64 tokens spread over the vocabulary, with mask tokens, without padding."""
    tokens: Tensor = (torch.arange(count) * 13 + 7) % config.vocab_size
    # A few families scale a row by its share of masks.
    tokens[1::11] = min(getattr(config, "mask_token_id", None) or 1, config.vocab_size - 1)
    padding = config.pad_token_id
    if padding is None:
        return tokens
    return tokens.where(tokens != padding, padding - 1 if padding else 1)
