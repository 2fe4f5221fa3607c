"""Tokens of packed sequences in other orders, and their places."""

import torch
from torch import Tensor

from tartan import Packed


def rows_of(packed: Packed) -> Tensor:
    """Return the number of each token's sequence, [tokens] int64."""
    lengths = torch.tensor(packed.lengths)
    return torch.arange(len(lengths)).repeat_interleave(lengths)


def shuffled(packed: Packed, chosen: Tensor, rng: torch.Generator) -> Tensor:
    """Return the tokens, [tokens], the chosen ones permuted within each sequence."""
    places = chosen.nonzero().squeeze(1)
    noise = torch.rand(len(places), generator=rng, dtype=torch.float64)
    order = torch.argsort(rows_of(packed)[places] + noise)
    return packed.input_ids.index_copy(0, places, packed.input_ids[places[order]])


def sinusoids(places: Tensor, size: int) -> Tensor:
    """Return the features [n, size] float of places, [n] int64 (Vaswani et al., 2017, 3.5)."""
    exponents = torch.arange(0, size, 2, device=places.device) / size
    angles = places[:, None] / 10_000**exponents
    return torch.cat([angles.sin(), angles.cos()], 1)[:, :size]
