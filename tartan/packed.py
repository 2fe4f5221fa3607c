"""Packed: the sequences of a batch laid end to end, the input of a body."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from tartan.gather import take


@dataclass(frozen=True)
class Packed:
    """Sequences laid end to end, without padding.

    Everything about the layout is computed on the host, from `lengths`, and sent to the tokens'
    device. That never waits for the device.

    >>> packed = Packed.of([[5, 6, 7], [8, 9]])
    >>> packed.lengths, packed.starts.tolist(), packed.ends.tolist()
    ((3, 2), [0, 3], [2, 4])

    Attributes:
        input_ids: [tokens] int64, the sequences one after the other.
        lengths: tokens of each sequence.
        token_type_ids: [tokens] int64, the segment of each token; None for a single segment.
        causal: True if a token attends only to itself and to earlier tokens of its sequence.
        wanted: [n] int64, indices of the tokens whose hidden states are read, each once; None for
            all tokens. The hidden states of the others are undefined: a body need not compute them.
        places: [tokens] int64, the position of each token in its text, from 0, where sequences are
            not laid out in the order of their texts; None where they are. With `causal`, a token
            attends to those that are laid out before it. Check `Context.check_places`.
        texts: how many sequences each text has, where long ones are read in chunks; None if each
            sequence is a text.

    Raises:
        ValueError: the lengths, segments or places do not match the tokens.
    """

    input_ids: Tensor
    lengths: tuple[int, ...]
    token_type_ids: Tensor | None = None
    causal: bool = False
    wanted: Tensor | None = None
    places: Tensor | None = None
    texts: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if sum(self.lengths) != self.input_ids.numel() or min(self.lengths, default=0) < 1:
            raise ValueError(
                f"lengths {self.lengths} do not match {self.input_ids.numel()} tokens: "
                "give the length of each sequence, at least 1, for at least one sequence"
            )
        if self.token_type_ids is not None and self.token_type_ids.shape != self.input_ids.shape:
            raise ValueError(
                f"token_type_ids {tuple(self.token_type_ids.shape)} do not match "
                f"input_ids {tuple(self.input_ids.shape)}: give one segment for each token"
            )
        if self.places is not None and self.places.shape != self.input_ids.shape:
            raise ValueError(
                f"places {tuple(self.places.shape)} do not match "
                f"input_ids {tuple(self.input_ids.shape)}: give one place for each token"
            )

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]], *, causal: bool = False) -> Self:
        """Lay sequences of token ids end to end."""
        flat = [token for sequence in sequences for token in sequence]
        tokens = torch.tensor(flat, dtype=torch.int64)
        return cls(tokens, tuple(len(sequence) for sequence in sequences), causal=causal)

    @classmethod
    def of_rows(cls, rows: Sequence[Mapping[str, Any]]) -> Self:
        """Lay rows' `input_ids` end to end, and their `token_type_ids` where they have them.

        Rows with `chunks`, the numbers of tokens of several sequences, have `texts`.
        """
        packed = cls.of([row["input_ids"] for row in rows])
        if "chunks" in rows[0]:
            chunks = [row["chunks"] for row in rows]
            lengths = tuple(length for sizes in chunks for length in sizes)
            return replace(packed, lengths=lengths, texts=tuple(map(len, chunks)))
        if "token_type_ids" not in rows[0]:
            return packed
        segments = cls.of([row["token_type_ids"] for row in rows])
        return replace(packed, token_type_ids=segments.input_ids)

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Join the sequences of several batches, in order.

        Raises:
            ValueError: some are causal and some are not.
        """
        if len({part.causal for part in parts}) != 1:
            raise ValueError("causal and other sequences cannot be joined")
        types = None
        if any(part.token_type_ids is not None for part in parts):
            types = torch.cat([part.segments for part in parts])
        tokens = torch.cat([part.input_ids for part in parts])
        lengths = tuple(length for part in parts for length in part.lengths)
        places = None
        if any(part.places is not None for part in parts):
            places = torch.cat([part.positions for part in parts])
        texts = None
        if any(part.texts is not None for part in parts):
            each = [part.texts or (1,) * len(part.lengths) for part in parts]
            texts = tuple(number for part in each for number in part)
        return cls(tokens, lengths, types, parts[0].causal, _all_wanted(parts), places, texts)

    def split(self, most: int) -> list[Self]:
        """Split into parts of at most this many tokens, in order; all hidden states are wanted.

        A sequence that is longer is a part of its own. A single part is returned as it is.
        """
        groups = split_lengths(self.lengths, most)
        if len(groups) == 1:
            return [self]
        sizes, types = [sum(group) for group in groups], self.token_type_ids
        ids = self.input_ids.split(sizes)
        segments = [None] * len(groups) if types is None else types.split(sizes)
        places = [None] * len(groups) if self.places is None else self.places.split(sizes)
        return [
            type(self)(tokens, group, segment, causal=self.causal, places=place)
            for tokens, group, segment, place in zip(ids, groups, segments, places, strict=True)
        ]

    @property
    def segments(self) -> Tensor:
        """[tokens] int64: the segment of each token, 0 if there is a single one."""
        types = self.token_type_ids
        return torch.zeros_like(self.input_ids) if types is None else types

    def with_input_ids(self, input_ids: Tensor) -> Self:
        """Return the same sequences with other token ids, [tokens] int64."""
        return replace(self, input_ids=input_ids)

    def want(self, wanted: Tensor) -> Self:
        """Return the same sequences, with the hidden states of some tokens `wanted` only."""
        return replace(self, wanted=wanted)

    def select(self, index: Tensor, lengths: tuple[int, ...]) -> Self:
        """Return some of the tokens as sequences of other lengths, all wanted.

        Args:
            index: [n] int64, indices of tokens.
            lengths: tokens of each new sequence, n in all.
        """
        types, places = self.token_type_ids, self.places
        return replace(
            self,
            input_ids=self.input_ids[index],
            lengths=lengths,
            token_type_ids=None if types is None else types[index],
            places=None if places is None else places[index],
            wanted=None,
            texts=None,
        )

    def pin(self) -> Self:
        """Return the same sequences in pinned host memory."""
        return self._moved(Tensor.pin_memory)

    def to(self, device: torch.device) -> Self:
        """Return the same sequences on a device. Copying from pinned memory does not wait."""
        queued = device.type == "cuda"
        return self._moved(lambda values: values.to(device, non_blocking=queued))

    def _moved(self, move: Callable[[Tensor], Tensor]) -> Self:
        """Return the same sequences with each tensor moved."""
        types, wanted, places = self.token_type_ids, self.wanted, self.places
        return replace(
            self,
            input_ids=move(self.input_ids),
            token_type_ids=None if types is None else move(types),
            wanted=None if wanted is None else move(wanted),
            places=None if places is None else move(places),
        )

    @property
    def offsets(self) -> Tensor:
        """[sequences + 1] int32: where each sequence starts, and where the last one ends."""
        ends = torch.tensor((0, *self.lengths)).cumsum(0)
        return self._send(ends.to(torch.int32))

    @property
    def starts(self) -> Tensor:
        """[sequences] int64: the index of each sequence's first token."""
        return self._send(starts_of(self.lengths))

    @property
    def ends(self) -> Tensor:
        """[sequences] int64: the index of each sequence's last token."""
        return self._send(torch.tensor(self.lengths).cumsum(0) - 1)

    def pooled(self, *, last: bool) -> Tensor:
        """Return the index of the token that stands for each sequence, [sequences] int64.

        `last`: its last token, as in a body that reads left to right; otherwise its first.
        """
        return self.ends if last else self.starts

    @property
    def positions(self) -> Tensor:
        """[tokens] int64: the position of each token in its own text, from 0."""
        return self._send(positions_of(self.lengths)) if self.places is None else self.places

    @property
    def mask(self) -> Tensor:
        """[sequences, longest] bool: True at tokens of the padded layout, False at padding."""
        return self._send(torch.arange(max(self.lengths)) < torch.tensor(self.lengths)[:, None])

    def pad(self, values: Tensor, fill: int | float = 0) -> Tensor:
        """Return packed values [tokens, ...] in the padded layout [sequences, longest, ...]."""
        shape = len(self.lengths), max(self.lengths)
        flat = values.new_full((shape[0] * shape[1], *values.shape[1:]), fill)
        padded: Tensor = flat.index_copy_(0, self._slots(), values).unflatten(0, shape)
        return padded

    def unpad(self, padded: Tensor) -> Tensor:
        """Return padded values [sequences, longest, ...] in the packed layout [tokens, ...]."""
        return take(padded.flatten(0, 1), self._slots())

    def pool(self, values: Tensor, *, last: bool) -> Tensor:
        """Return the values of the token that stands for each text, [texts, ...].

        A text of several sequences has their mean. `last`: as in `pooled`.
        """
        return self.by_text(take(values, self.pooled(last=last)))

    def by_text(self, values: Tensor) -> Tensor:
        """Return the mean over each text's sequences, [texts, ...], of values [sequences, ...]."""
        if self.texts is None:
            return values
        sizes = torch.tensor(self.texts)
        rows = torch.arange(len(sizes)).repeat_interleave(sizes)
        share = torch.zeros(len(sizes), len(rows))
        share[rows, torch.arange(len(rows))] = 1 / sizes[rows]
        # A product: adding rows up would take a varying order on a GPU.
        with torch.autocast(values.device.type, enabled=False):
            means: Tensor = self._send(share) @ values.flatten(1).float()
        found: Tensor = means.to(values.dtype).unflatten(1, values.shape[1:])
        return found

    def _slots(self) -> Tensor:
        """Return each token's index in the padded layout, its rows laid end to end, [tokens]."""
        lengths = torch.tensor(self.lengths)
        rows = torch.arange(len(lengths)).repeat_interleave(lengths)
        return self._send(rows * max(self.lengths) + positions_of(self.lengths))

    def _send(self, host: Tensor) -> Tensor:
        return send(host, self.input_ids.device)


def split_lengths(lengths: Sequence[int], most: int | None) -> list[tuple[int, ...]]:
    """Split lengths into parts of at most this many tokens, in order; None for one part."""
    groups: list[tuple[int, ...]] = [()]
    held = 0
    for length in lengths:
        if groups[-1] and most is not None and held + length > most:
            groups.append(())
            held = 0
        groups[-1] += (length,)
        held += length
    return groups


def send(host: Tensor, device: torch.device) -> Tensor:
    """Copy a host tensor to a device, pinned first: an unpinned copy to a GPU waits for it."""
    queued = device.type == "cuda"
    return (host.pin_memory() if queued else host).to(device, non_blocking=queued)


def starts_of(lengths: Sequence[int]) -> Tensor:
    """Return the index of the first token of each sequence, [sequences] int64, on the host."""
    sizes = torch.tensor(lengths)
    return sizes.cumsum(0) - sizes


def _all_wanted(parts: Sequence[Packed]) -> Tensor | None:
    """Return `wanted` of several batches laid end to end; None if all tokens of all are wanted."""
    if all(part.wanted is None for part in parts):
        return None
    indices, start = [], 0
    for part in parts:
        tokens = part.input_ids
        wanted = part.wanted
        if wanted is None:
            wanted = torch.arange(tokens.numel(), device=tokens.device)
        indices.append(wanted + start)
        start += tokens.numel()
    return torch.cat(indices)


def positions_of(lengths: Sequence[int]) -> Tensor:
    """Return the position of each token in its own sequence, [tokens] int64, on the host."""
    return torch.arange(sum(lengths)) - starts_of(lengths).repeat_interleave(torch.tensor(lengths))
