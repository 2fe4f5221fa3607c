"""Buckets: sequences of similar length, padded to one length for attention alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Self

import torch
from torch import Tensor

STEP = 16
"""Lengths of buckets are multiples of this many tokens."""

BESIDE = 32
"""A sequence costs longest * (longest + BESIDE): products and weights, and moving its states."""

SETUP = 1 << 13
"""What a bucket costs besides, on the same scale: the calls of its products, however small."""


def starts_of(lengths: Sequence[int]) -> Tensor:
    """[sequences] int64: the first token of each sequence."""
    sizes = torch.tensor(lengths)
    return sizes.cumsum(0) - sizes


@dataclass(frozen=True)
class Bucket:
    """Sequences that attend together.

    Attributes:
        sequences: how many.
        longest: tokens of the longest, rounded up to a multiple of `STEP`: few shapes, so that
            kernels and memory are used again.
        even: whether all are that long, so that nothing is padded.
    """

    sequences: int
    longest: int
    even: bool


@dataclass(frozen=True)
class Buckets:
    """Sequences grouped by similar length; each group padded to its longest, for attention alone.

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
    _masks: dict[tuple[int | None, bool], tuple[Tensor | None, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _biases: dict[tuple[int | None, bool, torch.dtype], tuple[Tensor | None, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _by_head: dict[int, "ByHead"] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Self:
        """Group sequences of the given lengths that lie end to end, on the host."""
        starts, sizes = starts_of(lengths), torch.tensor(lengths)
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        ceilings = _merged(lengths)
        groups, indices, masks = [], [], []
        for _, members in groupby(order, key=lambda row: ceilings[_ceiling(lengths[row])]):
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
        return cls(tuple(groups), index, mask, places)

    def split(self, values: Tensor) -> tuple[Tensor, ...]:
        """Values [places, ...] as each group's [sequences, longest, ...]."""
        parts = values.split([group.sequences * group.longest for group in self.groups])
        return tuple(
            part.unflatten(0, (group.sequences, group.longest))
            for group, part in zip(self.groups, parts, strict=True)
        )

    def masks(
        self, window: int | None = None, *, causal: bool = False
    ) -> tuple[Tensor | None, ...]:
        """Which tokens attend to which, for each group; worked out once for all layers.

        Args:
            window: the largest distance at which a token is seen; None for any distance.
            causal: whether later tokens are hidden.

        Returns:
            For each group, bool that broadcasts to [sequences, heads, longest, longest], True where
            the row's token sees the column's; None where every token sees every other or, if
            causal, every earlier one.
        """
        key = window, causal
        if key not in self._masks:
            attended = _earlier if causal else _attended
            pairs = zip(self.groups, self.split(self.mask), strict=True)
            self._masks[key] = tuple(attended(group, real, window) for group, real in pairs)
        return self._masks[key]

    def biases(
        self, dtype: torch.dtype, window: int | None = None, *, causal: bool = False
    ) -> tuple[Tensor | None, ...]:
        """As `masks`, but what to add to scores of a dtype: 0, or -inf where a token is not seen.

        None stands where every token sees every other, whether causal or not.
        """
        key = window, causal, dtype
        if key not in self._biases:
            masks = self.masks(window, causal=causal)
            self._biases[key] = tuple(
                _bias(group, mask, dtype, causal=causal)
                for group, mask in zip(self.groups, masks, strict=True)
            )
        return self._biases[key]

    def by_head(self, heads: int) -> "ByHead":
        """The same groups laid out head by head; worked out once for all layers."""
        if heads not in self._by_head:
            self._by_head[heads] = ByHead.of(self, heads)
        return self._by_head[heads]


@dataclass(frozen=True)
class ByHead:
    """Buckets of tokens with several heads: each group lies [sequences, heads, longest].

    Attributes:
        buckets: the same groups without heads.
        heads: how many.
        index: [places * heads] int64, which of the states [tokens * heads, ...] stands at each
            place of the groups laid end to end; at padding, that of the sequence's first token.
        real: likewise; at padding `tokens * heads`, where no state is.
        places: [tokens * heads] int64, the place of each state.
    """

    buckets: Buckets
    heads: int
    index: Tensor
    real: Tensor
    places: Tensor

    @classmethod
    def of(cls, buckets: Buckets, heads: int) -> Self:
        """The groups of some buckets."""
        head = torch.arange(heads, device=buckets.index.device)[:, None]
        tokens, masks = buckets.split(buckets.index), buckets.split(buckets.mask)
        index = torch.cat([(part[:, None] * heads + head).flatten() for part in tokens])
        mask = torch.cat([part[:, None].expand(-1, heads, -1).flatten() for part in masks])
        states = len(buckets.places) * heads
        places = index.new_empty(states)
        places[index[mask]] = mask.nonzero().squeeze(1)
        return cls(buckets, heads, index, index.where(mask, states), places)

    def split(self, states: Tensor) -> tuple[Tensor, ...]:
        """States [places * heads, ...] as each group's [sequences * heads, longest, ...]."""
        shapes = [(group.sequences * self.heads, group.longest) for group in self.buckets.groups]
        parts = states.split([rows * longest for rows, longest in shapes])
        return tuple(part.unflatten(0, shape) for shape, part in zip(shapes, parts, strict=True))


def _merged(lengths: Sequence[int]) -> Mapping[int, int]:
    """For each ceiling of some lengths, the highest of those it shares a bucket with.

    Of all ways to cut the ceilings into runs, the one that costs least, by `BESIDE` and `SETUP`:
    few sequences are sooner padded than computed in a bucket of their own.
    """
    counts = sorted(Counter(map(_ceiling, lengths)).items())
    best = [(0, 0)]  # cost of the runs up to each ceiling, and where the last of them begins
    for end in range(1, len(counts) + 1):
        longest, rows, ways = counts[end - 1][0], 0, []
        for begin in reversed(range(end)):
            rows += counts[begin][1]
            cost = SETUP + rows * longest * (longest + BESIDE)
            ways.append((best[begin][0] + cost, begin))
        best.append(min(ways))
    merged: dict[int, int] = {}
    while counts:
        begin = best[len(counts)][1]
        merged |= {ceiling: counts[-1][0] for ceiling, _ in counts[begin:]}
        del counts[begin:]
    return merged


def _ceiling(length: int) -> int:
    """The longest sequence that may fall into a bucket with one of this length, merging aside.

    A multiple of `STEP`, and of an eighth to a quarter of the length where that is more: few
    groups, and little padding in each.
    """
    width = max(STEP, (1 << length.bit_length()) // 8)
    return -(-length // width) * width


def _attended(group: Bucket, real: Tensor, window: int | None) -> Tensor | None:
    """One group's part of `Buckets.masks`; real is [sequences, longest] bool, True at tokens."""
    keys = None if group.even else real[:, None, None, :]
    if window is None or window >= group.longest - 1:
        return keys
    steps = torch.arange(group.longest, device=real.device)
    near = ((steps[:, None] - steps).abs() <= window)[None, None]
    # A query at padding sees every token: one that saw none would turn gradients into NaN.
    return near if keys is None else keys & (near | ~real[:, None, :, None])


def _earlier(group: Bucket, real: Tensor, window: int | None) -> Tensor | None:
    """One group's part of `Buckets.masks` if causal; real is as in `_attended`."""
    # Padding comes after a row's tokens, so that hiding what is later hides padding too.
    if window is None or window >= group.longest - 1:
        return None
    steps = torch.arange(group.longest, device=real.device)
    distance = steps[:, None] - steps
    return ((distance >= 0) & (distance <= window))[None, None]


def _bias(group: Bucket, mask: Tensor | None, dtype: torch.dtype, *, causal: bool) -> Tensor | None:
    """One group's part of `Buckets.biases`, from its part of `Buckets.masks`."""
    if mask is None and causal:
        mask = torch.ones((1, 1, group.longest, group.longest), dtype=torch.bool).tril()
    if mask is None:
        return None
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, -torch.inf)
