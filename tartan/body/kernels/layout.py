"""Layout: the lengths and places of packed sequences, as the attention kernels need them."""

from collections.abc import Callable, Sequence
from functools import cache, cached_property, partial

import torch
from torch import Tensor
from torch.nn import functional

from tartan.body.kernels.buckets import Buckets, ByHead, additive, biases, masks
from tartan.packed import positions_of, send

OFFSETS, LONGEST = 16, 128
"""Where few sizes are wanted, the multiples to which offsets and longest sequences are rounded."""


class Layout:
    """The layout of packed sequences for forward passes of a body.

    What a kernel needs of it is computed for the first layer that uses it, and reused by later
    layers.

    Attributes:
        lengths: tokens of each sequence.
        longest: tokens of the longest sequence.
        causal: True if a token attends only to itself and to earlier tokens of its sequence.
        varlen: True to use the device's variable-length kernel where it has one.
        spare: tokens after those of the sequences, which nothing reads.
        few_sizes: whether `offsets` and `longest_read` have few different sizes, for graphs.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        device: torch.device,
        *,
        causal: bool = False,
        varlen: bool = False,
        spare: int = 0,
        few_sizes: bool = False,
    ) -> None:
        self.lengths, self.longest, self.causal = lengths, max(lengths), causal
        self.varlen, self.spare, self.few_sizes = varlen, spare, few_sizes
        self._device = device

    @cached_property
    def positions(self) -> Tensor:
        """[tokens + spare] int64: the position of each token in its sequence, 0 of spare ones."""
        return send(functional.pad(positions_of(self.lengths), (0, self.spare)), self._device)

    @cached_property
    def offsets(self) -> Tensor:
        """[sequences + 1] int32: where each sequence starts, and where the last one ends.

        Spare tokens are sequences of their own: without them, a kernel would leave in their place
        whatever was in memory, NaN perhaps. With `few_sizes`, empty sequences follow.
        """
        lengths = (*self.lengths, *self._spare_lengths)
        empty = -(len(lengths) + 1) % OFFSETS if self.few_sizes else 0
        ends = torch.tensor((0, *lengths, *(0,) * empty)).cumsum(0)
        return send(ends.to(torch.int32), self._device)

    @property
    def _spare_lengths(self) -> Sequence[int]:
        """The spare tokens as sequences; with `few_sizes`, none is longer than the others."""
        most = self.longest if self.few_sizes else max(self.spare, 1)
        whole, rest = divmod(self.spare, most)
        return (most,) * whole + ((rest,) if rest else ())

    @property
    def longest_read(self) -> int:
        """Tokens of the longest sequence in `offsets`; with `few_sizes`, rounded up."""
        if self.few_sizes:
            return -(-self.longest // LONGEST) * LONGEST
        return max(self.longest, self.spare)

    def prepare(self) -> None:
        """Compute now what the first layer would."""
        self.positions  # noqa: B018
        self.offsets if self.varlen else self.buckets  # noqa: B018

    @cached_property
    def buckets(self) -> Buckets:
        """The sequences grouped by length."""
        return Buckets.of(self.lengths, self._device)

    @cached_property
    def masks(self) -> Callable[[int | None], Sequence[Tensor | None]]:
        """From a window to the buckets' masks: see `buckets.masks`."""
        return cache(partial(masks, self.buckets, self.causal))

    @cached_property
    def added(self) -> Callable[[torch.dtype, int | None], Sequence[Tensor | None]]:
        """From a dtype and a window to the masks as what is added to scores: see `additive`.

        torch's attention would convert a mask of bool in every layer.
        """
        return cache(lambda dtype, window: additive(self.masks(window), dtype))

    @cached_property
    def biases(self) -> Callable[[torch.dtype, int | None], Sequence[Tensor | None]]:
        """From a dtype and a window to the buckets' biases: see `buckets.biases`."""
        return cache(partial(biases, self.buckets, self.causal))

    @cached_property
    def by_head(self) -> Callable[[int], ByHead]:
        """From a number of heads to the buckets of tokens with that many heads."""
        return cache(partial(ByHead.of, self.buckets))
