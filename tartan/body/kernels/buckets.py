"""Buckets: sequences grouped by similar length, each group padded to one length for attention."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Self

import torch
from torch import Tensor

from tartan.packed import send, starts_of

STEP = 16
"""Bucket lengths are multiples of this many tokens."""


@dataclass(frozen=True)
class Bucket:
    """Sequences that attend together.

    Attributes:
        sequences: their number.
        longest: tokens of the longest one, rounded up to a multiple of `STEP`. Few distinct shapes
            let kernels and memory be reused.
        even: True if all sequences have that length, so that nothing is padded.
    """

    sequences: int
    longest: int
    even: bool


@dataclass(frozen=True)
class Buckets:
    """Sequences grouped by similar length; each group is padded to its longest sequence.

    Attributes:
        groups: the groups, shortest sequences first.
        index: [places] int64, the token at each place of the groups' rows laid end to end; at
            padding, the sequence's first token.
        mask: [places] bool, True at tokens, False at padding.
        places: [tokens] int64, the place of each token: `values[index][places]` is `values`.
    """

    groups: tuple[Bucket, ...]
    index: Tensor
    mask: Tensor
    places: Tensor

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device) -> Self:
        """Group sequences of the given lengths that lie end to end on a device.

        The groups are computed on the host; sending them never waits for the device.
        """
        starts, sizes = starts_of(lengths), torch.tensor(lengths)
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        groups, indices, masks = [], [], []
        ceiling = _ceiling if device.type == "cpu" else _power
        for _, members in groupby(order, key=lambda row: ceiling(lengths[row])):
            rows = list(members)
            steps = torch.arange(-(-lengths[rows[-1]] // STEP) * STEP)
            mask = steps < sizes[rows, None]
            even = lengths[rows[0]] == len(steps)
            groups.append(Bucket(len(rows), len(steps), even))
            masks.append(mask.flatten())
            indices.append((starts[rows, None] + steps * mask).flatten())
        index, mask = torch.cat(indices), torch.cat(masks)
        places = index.new_empty(sum(lengths))
        places[index[mask]] = mask.nonzero().squeeze(1)
        return cls(tuple(groups), *(send(host, device) for host in (index, mask, places)))

    def split(self, values: Tensor) -> tuple[Tensor, ...]:
        """Split values [places, ...] into each group's [sequences, longest, ...]."""
        parts = values.split([group.sequences * group.longest for group in self.groups])
        return tuple(
            part.unflatten(0, (group.sequences, group.longest))
            for group, part in zip(self.groups, parts, strict=True)
        )


@dataclass(frozen=True)
class ByHead:
    """Buckets of tokens with several heads: each group lies [sequences, heads, longest].

    Attributes:
        buckets: the same groups without heads.
        heads: heads of a token.
        index: [places * heads] int64, which of the states [tokens * heads, ...] is at each place
            of the groups laid end to end; at padding, that of the sequence's first token.
        real: the same, but at padding `tokens * heads`, where there is no state.
        places: [tokens * heads] int64, the place of each state.
    """

    buckets: Buckets
    heads: int
    index: Tensor
    real: Tensor
    places: Tensor

    @classmethod
    def of(cls, buckets: Buckets, heads: int) -> Self:
        """Lay out buckets head by head."""
        head = torch.arange(heads, device=buckets.index.device)[:, None]
        tokens, masks = buckets.split(buckets.index), buckets.split(buckets.mask)
        index = torch.cat([(part[:, None] * heads + head).flatten() for part in tokens])
        mask = torch.cat([part[:, None].expand(-1, heads, -1).flatten() for part in masks])
        states = len(buckets.places) * heads
        places = index.new_empty(states)
        places[index[mask]] = mask.nonzero().squeeze(1)
        return cls(buckets, heads, index, index.where(mask, states), places)

    def split(self, states: Tensor) -> tuple[Tensor, ...]:
        """Split states [places * heads, ...] into groups of [sequences * heads, longest, ...]."""
        shapes = [(group.sequences * self.heads, group.longest) for group in self.buckets.groups]
        parts = states.split([rows * longest for rows, longest in shapes])
        return tuple(part.unflatten(0, shape) for shape, part in zip(shapes, parts, strict=True))


def masks(buckets: Buckets, causal: bool, window: int | None = None) -> tuple[Tensor | None, ...]:
    """Compute which tokens attend to which.

    Args:
        buckets: the sequences.
        causal: True to hide later tokens.
        window: the largest distance at which a token is attended to; None for any distance.

    Returns:
        For each group, bool that broadcasts to [sequences, heads, longest, longest], True where
        the row's token attends to the column's; None where every token attends to every other or,
        if causal, to every earlier one.
    """
    mask = _causal_mask if causal else _mask
    pairs = zip(buckets.groups, buckets.split(buckets.mask), strict=True)
    return tuple(mask(group, real, window) for group, real in pairs)


def biases(
    buckets: Buckets, causal: bool, dtype: torch.dtype, window: int | None = None
) -> tuple[Tensor | None, ...]:
    """Compute what to add to attention scores of a dtype: 0, or -inf where `masks` is False.

    Returns:
        For each group, a tensor of the dtype that broadcasts to [sequences, heads, longest,
        longest]; None where every token attends to every other, causal or not.
    """
    pairs = zip(buckets.groups, masks(buckets, causal, window), strict=True)
    return tuple(_bias(group, mask, dtype, causal=causal) for group, mask in pairs)


def additive(allowed: Sequence[Tensor | None], dtype: torch.dtype) -> tuple[Tensor | None, ...]:
    """Return what to add to scores for each mask of `masks`: 0, or -inf where it is False."""
    return tuple(None if mask is None else _added(mask, dtype) for mask in allowed)


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, -torch.inf)


def _power(length: int) -> int:
    """Return what `_ceiling` does, on an accelerator: a power of 2, at least 64.

    Launching the operators of a further bucket takes longer than attending to padding.
    """
    return max(64, 1 << (length - 1).bit_length())


def _ceiling(length: int) -> int:
    """Return the longest sequence that falls into the same bucket as one of this length.

    A multiple of `STEP`, and of an eighth to a quarter of the length where that is more: few
    groups, and little padding in each.
    """
    width = max(STEP, (1 << length.bit_length()) // 8)
    return -(-length // width) * width


def _mask(group: Bucket, real: Tensor, window: int | None) -> Tensor | None:
    """Compute one group's part of `masks`; real is [sequences, longest] bool, True at tokens."""
    keys = None if group.even else real[:, None, None, :]
    if window is None or window >= group.longest - 1:
        return keys
    steps = torch.arange(group.longest, device=real.device)
    near = ((steps[:, None] - steps).abs() <= window)[None, None]
    # A query at padding attends to every token: without any, its gradient would be NaN.
    return near if keys is None else keys & (near | ~real[:, None, :, None])


def _causal_mask(group: Bucket, real: Tensor, window: int | None) -> Tensor | None:
    """Compute one group's part of `masks` if causal; real as in `_mask`."""
    # Padding comes after a row's tokens, so that hiding later places hides padding too.
    if window is None or window >= group.longest - 1:
        return None
    steps = torch.arange(group.longest, device=real.device)
    distance = steps[:, None] - steps
    return ((distance >= 0) & (distance <= window))[None, None]


def _bias(group: Bucket, mask: Tensor | None, dtype: torch.dtype, *, causal: bool) -> Tensor | None:
    """Compute one group's part of `biases` from its part of `masks`."""
    if mask is None and causal:
        mask = torch.ones((1, 1, group.longest, group.longest), dtype=torch.bool).tril()
    return None if mask is None else _added(mask, dtype)
