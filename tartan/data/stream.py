"""Streams: an objective's endless sequence of batches, a function of their index."""

import math
from collections.abc import Sequence
from copy import copy
from typing import ClassVar

import torch
from torch import Tensor

from tartan.batch import Row
from tartan.data.endless import EndlessRows
from tartan.errors import DataError
from tartan.mixture import Mixture
from tartan.seeding import generator


class Stream:
    """An objective's batches: a pure function of seed, name and index.

    Rows are laid out as an endless sequence of epochs, each a permutation of all rows of its own.
    Batch `k` of size `b` covers positions `k * b` up to `(k + 1) * b` of that sequence, so a batch
    may span epochs, and any batch can be read at any time, in any order.

    Rows of a streamed corpus have an order already, which never ends: batches follow it.

    An epoch of a `Mixture` is a permutation of as many rows of each part as its `counts` say. These
    continue through the part's own sequence of epochs, so that all its rows are read equally often.

    Attributes:
        limit: the option that limits a batch.
    """

    limit: ClassVar[str] = "batch_size"

    def __init__(self, examples: Sequence[Row], batch_size: int, seed: int, name: str) -> None:
        """Lay out the examples.

        Args:
            examples: the objective's rows.
            batch_size: rows of a batch, at least 1.
            seed: the run's seed.
            name: the objective's name; streams of different names have independent orders.

        Raises:
            DataError: there are no examples.
        """
        self._endless = isinstance(examples, EndlessRows)
        if not self._endless and len(examples) == 0:
            raise DataError(f"objective '{name}' has no examples: give it a corpus with text")
        self._examples = examples
        self._batch_size = batch_size
        self._seed = seed
        self._name = name
        self._orders: dict[int, Tensor] = {}
        self._delay = 0
        self._parts = _parts(examples, seed, name) if isinstance(examples, Mixture) else []

    def delayed(self, batches: int) -> "Stream":
        """Return the same batches, the first of them at the index `batches`."""
        stream = copy(self)
        stream._delay = self._delay + batches
        return stream

    def number(self, index: int) -> int:
        """Return the number of the batch at an index, from 0 whatever the delay.

        Raises:
            IndexError: it is before the first.
        """
        number = index - self._delay
        if number < 0:
            raise IndexError(f"batch {number} of '{self._name}': batches are counted from 0")
        return number

    def least_for_two(self) -> int:
        """Return the least limit with which a batch can have two rows."""
        return 2

    def steps(self, epochs: float, accumulate: int) -> int:
        """Return the steps of the first epochs, each of so many batches."""
        return math.ceil(epochs * (len(self._examples) / (self._batch_size * accumulate)))

    def count(self, batches: int) -> int:
        """Return how many rows the first batches have, repetitions counted."""
        return batches * self._batch_size

    def rows(self, index: int) -> list[Row]:
        """Return the rows of the batch at an index, counted from 0."""
        chosen = self.indices(index)
        # A datasets.Dataset reads many rows at once far faster than one by one.
        fetch = getattr(self._examples, "__getitems__", None)
        return list(fetch(chosen)) if fetch else [self._examples[row] for row in chosen]

    def indices(self, index: int) -> list[int]:
        """Return the indices of the examples in the batch at an index, in its order."""
        number = self.number(index)
        start = number * self._batch_size
        if self._endless:
            return list(range(start, start + self._batch_size))
        chosen: list[int] = []
        used: dict[int, Tensor] = {}
        while len(chosen) < self._batch_size:
            epoch, offset = divmod(start + len(chosen), len(self._examples))
            used[epoch] = self._order(epoch)
            chosen += used[epoch][offset : offset + self._batch_size - len(chosen)].tolist()
        last = max(used)
        self._orders = {last: used[last]}
        return chosen

    def state_dict(self) -> Tensor | None:
        """Return the places of a streamed corpus that were reached; None of any other rows."""
        return self._examples.state_dict() if isinstance(self._examples, EndlessRows) else None

    def load_state_dict(self, state: Tensor) -> None:
        """Load a `state_dict`, if the rows are streamed. ValueError if it is something else."""
        if isinstance(self._examples, EndlessRows):
            self._examples.load_state_dict(state)

    def _order(self, epoch: int) -> Tensor:
        """Return [examples] int64, the permutation of one epoch."""
        order = self._orders.get(epoch)
        if order is not None:
            return order
        rng = generator(self._seed, "order", self._name, epoch)
        order = torch.randperm(len(self._examples), generator=rng)
        if not self._parts:
            return order
        mixed = [start + torch.tensor(part.indices(epoch)) for start, part in self._parts]
        return torch.cat(mixed)[order]


def _parts(mixture: Mixture, seed: int, name: str) -> list[tuple[int, Stream]]:
    """Return where each part of a mixture starts, and a stream of its rows of each epoch."""
    return [
        (start, Stream(part, count, seed, f"{name}/{number}"))
        for number, (start, part, count) in enumerate(
            zip(mixture.starts, mixture.parts, mixture.counts, strict=True)
        )
    ]
