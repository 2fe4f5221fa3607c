"""Packed: the sequences of a batch laid end to end, the one layout the text body reads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from tartan.buckets import Buckets, starts_of


@dataclass(frozen=True)
class Packed:
    """Sequences laid end to end; no padding token ever enters the body.

    The layout is worked out on the host, from `lengths`, and sent to the tokens' device: asking for
    it never waits for the device.

    Attributes:
        input_ids: [tokens] int64, the sequences one after the other.
        lengths: tokens of each sequence, on the host.
        token_type_ids: [tokens] int64 segment of each token, or None for a single segment.
        causal: whether a token attends to itself and to earlier tokens of its sequence alone.
        wanted: [places] int64, the tokens whose hidden states are read, each once; None for all.
            What a body gives for the others is not defined: it need not compute them.

    Raises:
        ValueError: when the lengths do not lay out the tokens, or sequences that are joined
            are not all causal or all not.
    """

    input_ids: Tensor
    lengths: tuple[int, ...]
    token_type_ids: Tensor | None = None
    causal: bool = False
    wanted: Tensor | None = None

    def __post_init__(self) -> None:
        if sum(self.lengths) != self.input_ids.numel() or min(self.lengths, default=0) < 1:
            raise ValueError(
                f"lengths {self.lengths} do not lay out {self.input_ids.numel()} tokens; "
                "give each sequence's length, at least 1, of at least one sequence"
            )
        if self.token_type_ids is not None and self.token_type_ids.shape != self.input_ids.shape:
            raise ValueError(
                f"token_type_ids {tuple(self.token_type_ids.shape)} do not match "
                f"input_ids {tuple(self.input_ids.shape)}; give one segment a token"
            )

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]], *, causal: bool = False) -> Self:
        """Lay sequences of token ids end to end."""
        flat = [token for sequence in sequences for token in sequence]
        tokens = torch.tensor(flat, dtype=torch.int64)
        return cls(tokens, tuple(len(sequence) for sequence in sequences), causal=causal)

    @classmethod
    def of_rows(cls, rows: Sequence[Mapping[str, Any]]) -> Self:
        """Lay rows' `input_ids` end to end, and their `token_type_ids` where they have them."""
        packed = cls.of([row["input_ids"] for row in rows])
        if "token_type_ids" not in rows[0]:
            return packed
        segments = cls.of([row["token_type_ids"] for row in rows])
        return replace(packed, token_type_ids=segments.input_ids)

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Several batches' sequences as one, in order; all causal, or none."""
        if len({part.causal for part in parts}) != 1:
            raise ValueError("causal and other sequences cannot be read in one pass")
        types = None
        if any(part.token_type_ids is not None for part in parts):
            types = torch.cat([part.segments for part in parts])
        tokens = torch.cat([part.input_ids for part in parts])
        lengths = tuple(length for part in parts for length in part.lengths)
        return cls(tokens, lengths, types, causal=parts[0].causal, wanted=_all_wanted(parts))

    @property
    def segments(self) -> Tensor:
        """[tokens] int64: each token's segment, 0 where there is a single one."""
        types = self.token_type_ids
        return torch.zeros_like(self.input_ids) if types is None else types

    def with_input_ids(self, input_ids: Tensor) -> Self:
        """The same layout over other token ids, [tokens] int64."""
        return replace(self, input_ids=input_ids)

    def want(self, places: Tensor) -> Self:
        """The same sequences, of which only some tokens' hidden states are read: see `wanted`."""
        return replace(self, wanted=places)

    def pin(self) -> Self:
        """The same sequences in pinned host memory."""
        return self._moved(Tensor.pin_memory)

    def to(self, device: torch.device) -> Self:
        """The same sequences on a device; copied from pinned memory without waiting."""
        queued = device.type == "cuda"
        return self._moved(lambda values: values.to(device, non_blocking=queued))

    def _moved(self, move: Callable[[Tensor], Tensor]) -> Self:
        """The same sequences, each tensor moved elsewhere."""
        types, wanted = self.token_type_ids, self.wanted
        return replace(
            self,
            input_ids=move(self.input_ids),
            token_type_ids=None if types is None else move(types),
            wanted=None if wanted is None else move(wanted),
        )

    @cached_property
    def starts(self) -> Tensor:
        """[sequences] int64: where each sequence's first token stands."""
        return self._send(starts_of(self.lengths))

    @cached_property
    def offsets(self) -> Tensor:
        """[sequences + 1] int32: where each sequence starts, and where the last one ends."""
        ends = torch.tensor((0, *self.lengths)).cumsum(0)
        return self._send(ends.to(torch.int32))

    @cached_property
    def positions(self) -> Tensor:
        """[tokens] int64: each token's position in its own sequence, from 0."""
        return self._send(_positions(self.lengths))

    @cached_property
    def mask(self) -> Tensor:
        """[sequences, longest] bool: True at the tokens of the padded layout, False at padding."""
        return self._send(torch.arange(max(self.lengths)) < torch.tensor(self.lengths)[:, None])

    @cached_property
    def places(self) -> Tensor:
        """[tokens] int64: where each token stands in the padded layout, its rows end to end."""
        lengths = torch.tensor(self.lengths)
        rows = torch.arange(len(lengths)).repeat_interleave(lengths)
        return self._send(rows * max(self.lengths) + _positions(self.lengths))

    def pad(self, values: Tensor, fill: int | float = 0) -> Tensor:
        """Packed values [tokens, ...] in the padded layout [sequences, longest, ...]."""
        shape = len(self.lengths), max(self.lengths)
        flat = values.new_full((shape[0] * shape[1], *values.shape[1:]), fill)
        padded: Tensor = flat.index_copy(0, self.places, values).unflatten(0, shape)
        return padded

    def unpad(self, padded: Tensor) -> Tensor:
        """Padded values [sequences, longest, ...] in the packed layout [tokens, ...]."""
        return padded.flatten(0, 1).index_select(0, self.places)

    @cached_property
    def buckets(self) -> Buckets:
        """The sequences grouped by similar length, for attention that costs little padding."""
        host = Buckets.of(self.lengths)
        return replace(
            host,
            index=self._send(host.index),
            mask=self._send(host.mask),
            places=self._send(host.places),
        )

    def _send(self, host: Tensor) -> Tensor:
        """A host tensor on the tokens' device; pinned first, as an unpinned copy would wait."""
        device = self.input_ids.device
        pinned = host.pin_memory() if device.type == "cuda" else host
        return pinned.to(device, non_blocking=True)


def _all_wanted(parts: Sequence[Packed]) -> Tensor | None:
    """What is wanted of several parts laid end to end; None where that is all of them."""
    if all(part.wanted is None for part in parts):
        return None
    places, start = [], 0
    for part in parts:
        tokens = part.input_ids
        wanted = part.wanted
        if wanted is None:
            wanted = torch.arange(tokens.numel(), device=tokens.device)
        places.append(wanted + start)
        start += tokens.numel()
    return torch.cat(places)


def _positions(lengths: Sequence[int]) -> Tensor:
    """[tokens] int64: each token's position in its own sequence."""
    return torch.arange(sum(lengths)) - starts_of(lengths).repeat_interleave(torch.tensor(lengths))
