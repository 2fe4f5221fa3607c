"""Layout: the lengths and places of packed sequences, as the attention kernels need them."""

from collections.abc import Callable, Sequence
from functools import cache, cached_property, partial

import torch
from torch import Tensor

from tartan.body.kernels.buckets import Buckets, ByHead, biases, masks
from tartan.packed import Packed


class Layout:
    """The layout of packed sequences for one forward pass of a body.

    The body makes one for each forward pass and passes it to the attention of every layer. What a
    kernel needs of it is computed for the first layer that uses it, and reused by later layers.

    Attributes:
        lengths: tokens of each sequence.
        longest: tokens of the longest sequence.
        causal: True if a token attends only to itself and to earlier tokens of its sequence.
        varlen: True to use the device's variable-length kernel where it has one.
    """

    def __init__(self, packed: Packed, *, varlen: bool = False) -> None:
        self.lengths, self.longest, self.causal = packed.lengths, max(packed.lengths), packed.causal
        self.varlen = varlen
        self._packed = packed

    @cached_property
    def offsets(self) -> Tensor:
        """`Packed.offsets`."""
        return self._packed.offsets

    @cached_property
    def buckets(self) -> Buckets:
        """The sequences grouped by length."""
        return Buckets.of(self.lengths, self._packed.input_ids.device)

    @cached_property
    def masks(self) -> Callable[[int | None], Sequence[Tensor | None]]:
        """From a window to the buckets' masks: see `buckets.masks`."""
        return cache(partial(masks, self.buckets, self.causal))

    @cached_property
    def biases(self) -> Callable[[torch.dtype, int | None], Sequence[Tensor | None]]:
        """From a dtype and a window to the buckets' biases: see `buckets.biases`."""
        return cache(partial(biases, self.buckets, self.causal))

    @cached_property
    def by_head(self) -> Callable[[int], ByHead]:
        """From a number of heads to the buckets of tokens with that many heads."""
        return cache(partial(ByHead.of, self.buckets))
