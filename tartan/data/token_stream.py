"""Batches of as many rows as fit into a number of tokens."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar

import torch
from datasets import Dataset

from tartan.batch import Row
from tartan.data.arrow import batches_of
from tartan.data.stream import Stream
from tartan.mixture import Mixture

COUNTED = 16
"""The most epochs whose batches are counted."""


class TokenStream(Stream):
    """A stream whose batches are limited by tokens instead of rows.

    An epoch has the order that it has in a `Stream`. Its rows are put into batches in this order, a
    new batch where the next row does not fit; a longer row is a batch of its own. A batch is a
    function of seed, name and index, as in any stream; batches do not span epochs.
    """

    limit: ClassVar[str] = "max_tokens"

    def __init__(self, examples: Sequence[Row], max_tokens: int, seed: int, name: str) -> None:
        """Lay out the examples.

        Args:
            examples: the objective's rows.
            max_tokens: the most tokens of a batch, at least 1.
            seed: the run's seed.
            name: the objective's name.

        Raises:
            DataError: there are no examples.
        """
        super().__init__(examples, 1, seed, name)
        self._most = max_tokens
        self._sizes = sizes_of(examples)
        self._ends: list[int] = []
        self._cut: tuple[int, list[list[int]]] = (-1, [])

    def least_for_two(self) -> int:
        """Return the least limit with which a batch can have two rows, the shortest ones."""
        return int(self._sizes.sort().values[:2].sum())

    def steps(self, epochs: float, accumulate: int) -> int:
        """Return the steps of the first epochs, each of so many batches.

        The batches of up to `COUNTED` epochs are counted; more have as many in the mean.
        """
        complete = min(int(epochs), COUNTED)
        batches = float(self._start(complete))
        if complete == COUNTED:
            batches *= epochs / COUNTED
        elif epochs > complete:
            batches += (epochs - complete) * (self._end(complete) - self._start(complete))
        return math.ceil(batches / accumulate)

    def count(self, batches: int) -> int:
        """Return how many rows the first batches have, repetitions counted."""
        epoch = self._epoch(batches)
        begun = self._batches(epoch)[: batches - self._start(epoch)]
        return epoch * len(self._examples) + sum(map(len, begun))

    def indices(self, index: int) -> list[int]:
        """Return the indices of the examples in the batch at an index, in its order."""
        number = self.number(index)
        epoch = self._epoch(number)
        return self._batches(epoch)[number - self._start(epoch)]

    def _epoch(self, number: int) -> int:
        """Return the epoch of a batch."""
        while not self._ends or self._ends[-1] <= number:
            self._end(len(self._ends))
        return bisect_right(self._ends, number)

    def _start(self, epoch: int) -> int:
        """Return the number of an epoch's first batch."""
        return self._end(epoch - 1) if epoch else 0

    def _end(self, epoch: int) -> int:
        """Return the number of the batch behind an epoch's last."""
        while len(self._ends) <= epoch:
            before = self._ends[-1] if self._ends else 0
            self._ends.append(before + len(self._batches(len(self._ends))))
        return self._ends[epoch]

    def _batches(self, epoch: int) -> list[list[int]]:
        """Return the batches of one epoch."""
        if self._cut[0] != epoch:
            order = self._order(epoch)
            self._cut = epoch, batches(order.tolist(), self._sizes[order].tolist(), self._most)
        return self._cut[1]


def batches(rows: Sequence[int], sizes: Sequence[int], most: int) -> list[list[int]]:
    """Put rows into batches of at most so many tokens, in their order.

    >>> batches([7, 8, 9, 4], [3, 2, 9, 1], 5)
    [[7, 8], [9], [4]]
    """
    found: list[list[int]] = []
    room = 0
    for row, size in zip(rows, sizes, strict=True):
        if size > room or not found:
            found.append([])
            room = most
        found[-1].append(row)
        room -= size
    return found


def sizes_of(examples: Sequence[Row]) -> torch.Tensor:
    """Return the tokens of each example, [examples] int64."""
    if isinstance(examples, Mixture):
        return torch.cat([sizes_of(part) for part in examples.parts])
    if isinstance(examples, Dataset):
        read = batches_of(examples.select_columns(["input_ids"]))
        return torch.tensor([len(ids) for batch in read for ids in batch["input_ids"]])
    return torch.tensor([len(row["input_ids"]) for row in examples])
