"""Packed: the sequences of a batch laid end to end, the one layout the text body reads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packed:
    """Sequences laid end to end; no padding token ever enters the body.

    Attributes:
        input_ids: [tokens] int64, the sequences one after the other.
        lengths: tokens of each sequence, on the host, so that no layout question needs the device.
        token_type_ids: [tokens] int64 segment of each token, or None for a single segment.
    """

    input_ids: Tensor
    lengths: tuple[int, ...]
    token_type_ids: Tensor | None = None

    def __post_init__(self) -> None:
        if sum(self.lengths) != self.input_ids.numel() or min(self.lengths, default=1) < 1:
            raise ValueError(
                f"lengths {self.lengths} do not lay out {self.input_ids.numel()} tokens; "
                "give each sequence's length, at least 1"
            )

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> Self:
        """Lay sequences of token ids end to end."""
        flat = [token for sequence in sequences for token in sequence]
        return cls(torch.tensor(flat, dtype=torch.int64), tuple(len(s) for s in sequences))

    def with_input_ids(self, input_ids: Tensor) -> Self:
        """The same layout over other token ids, [tokens] int64."""
        return replace(self, input_ids=input_ids)

    def to(self, device: torch.device) -> Self:
        """The same sequences on a device."""
        types = None if self.token_type_ids is None else self.token_type_ids.to(device)
        return replace(self, input_ids=self.input_ids.to(device), token_type_ids=types)

    @cached_property
    def starts(self) -> Tensor:
        """[sequences] int64: where each sequence's first token stands."""
        return self._tensor([0, *accumulate(self.lengths[:-1])])

    @cached_property
    def positions(self) -> Tensor:
        """[tokens] int64: each token's position in its own sequence, from 0."""
        tokens = torch.arange(len(self.input_ids), device=self.input_ids.device)
        return tokens - self.starts.repeat_interleave(self._tensor(self.lengths))

    @cached_property
    def mask(self) -> Tensor:
        """[sequences, longest] bool: True at the tokens of the padded layout, False at padding."""
        columns = torch.arange(max(self.lengths), device=self.input_ids.device)
        return columns < self._tensor(self.lengths)[:, None]

    def pad(self, values: Tensor, fill: int | float = 0) -> Tensor:
        """Packed values [tokens, ...] in the padded layout [sequences, longest, ...]."""
        padded = values.new_full((*self.mask.shape, *values.shape[1:]), fill)
        padded[self.mask] = values
        return padded

    def unpad(self, padded: Tensor) -> Tensor:
        """Padded values [sequences, longest, ...] in the packed layout [tokens, ...]."""
        return padded[self.mask]

    @cached_property
    def buckets(self) -> tuple["Bucket", ...]:
        """The sequences grouped by similar length, for attention that costs little padding."""
        order = sorted(range(len(self.lengths)), key=self.lengths.__getitem__)
        offsets = [0, *accumulate(self.lengths)]
        grouped: dict[int, list[int]] = {}
        for sequence in order:
            grouped.setdefault(-(-self.lengths[sequence] // BUCKET_WIDTH), []).append(sequence)
        return tuple(
            Bucket.of([range(offsets[s], offsets[s + 1]) for s in group], self.input_ids.device)
            for group in grouped.values()
        )

    @cached_property
    def from_buckets(self) -> Tensor:
        """[tokens] int64: where each token stands when the buckets' tokens are laid end to end."""
        return torch.cat([bucket.tokens for bucket in self.buckets]).argsort()

    def _tensor(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self.input_ids.device)


BUCKET_WIDTH = 16
"""Lengths within one multiple of this attend together: at most this much padding a sequence."""


@dataclass(frozen=True)
class Bucket:
    """Sequences of similar length, padded to the longest of them for attention alone.

    Attributes:
        index: [sequences, longest] int64, the token at each place (any token at padding).
        mask: [sequences, longest] bool, True at tokens; None when nothing is padded.
        tokens: [tokens] int64, the bucket's tokens in the order of `index`.
    """

    index: Tensor
    mask: Tensor | None
    tokens: Tensor

    @classmethod
    def of(cls, spans: Sequence[range], device: torch.device) -> Self:
        """A bucket of the sequences that stand at the given spans of the packed tokens."""
        longest = max(map(len, spans))
        rows = [[*span, *[span.start] * (longest - len(span))] for span in spans]
        tokens = torch.tensor([token for span in spans for token in span], device=device)
        lengths = torch.tensor([len(span) for span in spans], device=device)
        mask = torch.arange(longest, device=device) < lengths[:, None]
        even = all(len(a) == len(b) for a, b in pairwise(spans))
        return cls(torch.tensor(rows, device=device), None if even else mask, tokens)
