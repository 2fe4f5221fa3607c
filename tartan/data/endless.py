"""A corpus that is read as a stream: an endless sequence of rows, shuffled in a buffer.

The texts of a stream are read in blocks of as many as the buffer holds, and each block is shuffled
by itself. After the last text the stream begins again, with its shards in another order. So the
row at a position is a function of (seed, objective, position), as in any other corpus. Where each
block begins is remembered and saved (`Mark`): a run that resumes opens the shard of its block,
skips the rows before it, and fills the buffer again.

`datasets` shuffles an `IterableDataset` in a buffer too, but a resumed one loses what was in it.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple, overload

import torch
from torch import Tensor

from tartan.batch import Row
from tartan.data.digests import digest
from tartan.data.reader import Counts, Reader
from tartan.data.shards import Shard
from tartan.errors import ConfigError, DataError
from tartan.seeding import generator

CHARACTERS = 2**26
"""A block ends with the text that makes it longer than this, however many the buffer may hold."""


@dataclass(frozen=True)
class Streaming:
    """What a source says of a corpus that is read while a run trains.

    Attributes:
        shards: its parts, at least one.
        buffer: texts that are shuffled together.
    """

    shards: Sequence[Shard]
    buffer: int


@dataclass(frozen=True)
class Streamed(Streaming):
    """A corpus that is read while a run trains.

    Attributes:
        held_out: digests of the texts of dev and test, which are left out.
    """

    held_out: AbstractSet[bytes]


class Mark(NamedTuple):
    """Where a block begins.

    Attributes:
        position: the number of texts before it.
        turn: how often the stream was read to its end before.
        shard: shards of this turn that were read to their end before.
        row: rows of the next shard that were read before, those without a usable text included.
    """

    position: int = 0
    turn: int = 0
    shard: int = 0
    row: int = 0


class Blocks:
    """The texts of a stream in the order of one objective.

    Attributes:
        marks: where each block begins that was reached so far, and the one after these.
    """

    def __init__(self, streamed: Streamed, seed: int, name: str) -> None:
        """Read nothing yet. `seed` is the run's and `name` the objective's."""
        self.marks = [Mark()]
        self._streamed, self._seed, self._name = streamed, seed, name
        self._block: tuple[int, list[str]] = (-1, [])
        self._reading: tuple[Mark, Iterator[tuple[Sequence[str], Mark]]] | None = None
        self._lock = Lock()  # batches may be made in a thread ahead of time

    def texts(self, positions: Sequence[int]) -> list[str]:
        """Return the texts at positions. DataError where one cannot be read."""
        with self._lock:
            return [self._text(position) for position in positions]

    def _text(self, position: int) -> str:
        """Return the text at a position."""
        while position >= self.marks[-1].position:
            self._load(len(self.marks) - 1)
        number = bisect_right(self.marks, position, key=lambda mark: mark.position) - 1
        if self._block[0] != number:
            self._load(number)
        return self._block[1][position - self.marks[number].position]

    def _load(self, number: int) -> None:
        """Read a block; `marks` has its beginning."""
        self._block = -1, []
        start = self.marks[number]
        opened, rows = self._reading or (None, None)
        if rows is None or opened != start:
            rows = self._rows(start)
        self._reading = None  # where a row cannot be read, the next try begins at a mark again
        texts: list[str] = []
        characters, end = 0, start
        for found, after in rows:
            texts += found
            characters += sum(map(len, found))
            ended = after.turn > end.turn and texts
            end = after
            if ended or len(texts) >= self._streamed.buffer or characters > CHARACTERS:
                break
        end = end._replace(position=start.position + len(texts))
        self._reading = end, rows
        if number == len(self.marks) - 1:
            self.marks.append(end)
        rng = generator(self._seed, "stream", self._name, number)
        self._block = number, [texts[n] for n in torch.randperm(len(texts), generator=rng).tolist()]

    def _rows(self, start: Mark) -> Iterator[tuple[Sequence[str], Mark]]:
        """Yield the texts of each row from a place on, with the place after the row.

        Where a turn ends, no text comes with the place where the next one begins.
        """
        _, turn, first, skip = start
        shards, some = self._streamed.shards, first > 0 or skip > 0
        while True:
            rng = generator(self._seed, "shards", self._name, turn)
            order = torch.randperm(len(shards), generator=rng).tolist()
            for place in range(first, len(order)):
                row = skip
                for texts in shards[order[place]].texts(skip):
                    row += 1
                    kept = [text for text in texts if digest(text) not in self._streamed.held_out]
                    some = some or bool(kept)
                    yield kept, Mark(0, turn, place, row)
                skip = 0
            if not some:
                raise DataError(
                    f"objective '{self._name}' reads a stream without a text: all are blank, or "
                    "also appear in dev or test: give it other text"
                )
            turn, first, some = turn + 1, 0, False
            yield [], Mark(0, turn)


class EndlessRows(Sequence[Row]):
    """The tokenised rows of a stream, by their position in one objective's order; without end.

    Of a text that is longer than the model reads, `model.long=chunks` takes one chunk at random.
    """

    def __init__(self, streamed: Streamed, reader: Reader, seed: int, name: str) -> None:
        """Read nothing yet. `seed` is the run's and `name` the objective's."""
        self._blocks = Blocks(streamed, seed, name)
        self._reader, self._seed, self._name = reader, seed, name

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        """Return the row at a position, or the rows of a slice that has an end."""
        if isinstance(index, slice):
            return self.__getitems__(range(index.start or 0, index.stop, index.step or 1))
        return self.__getitems__([index])[0]

    def __getitems__(self, positions: Sequence[int]) -> list[Row]:
        """Return the rows at positions. DataError where a text cannot be read."""
        read = self._reader.read({"text": self._blocks.texts(positions)}, Counts())
        rows = read["input_ids"]
        if "chunks" in read:
            rows = [
                self._chunk(position, ids, sizes)
                for position, ids, sizes in zip(positions, rows, read["chunks"], strict=True)
            ]
        return [{"input_ids": ids} for ids in rows]

    def __len__(self) -> int:
        """Raise ConfigError: nobody has counted them."""
        raise self._uncounted()

    def __iter__(self) -> Iterator[Row]:
        """Raise ConfigError: it would never end."""
        raise self._uncounted()

    def state_dict(self) -> Tensor:
        """Return the marks, [blocks, 4] int64."""
        return torch.tensor(self._blocks.marks)

    def load_state_dict(self, state: Tensor) -> None:
        """Load a `state_dict`. ValueError if it is something else."""
        if state.dim() != 2 or state.shape[1] != len(Mark._fields) or state[0].any():
            raise ValueError(f"the places of a stream have the shape {list(state.shape)}")
        self._blocks.marks = [Mark(*row) for row in state.tolist()]

    def _chunk(self, position: int, ids: Sequence[int], sizes: Sequence[int]) -> Sequence[int]:
        """Return one chunk of a text."""
        rng = generator(self._seed, "chunk", self._name, position)
        chosen = int(torch.randint(len(sizes), (), generator=rng))
        start = sum(sizes[:chosen])
        return ids[start : start + sizes[chosen]]

    def _uncounted(self) -> ConfigError:
        """Return the error for what needs the number of texts."""
        return ConfigError(
            f"objectives.{self._name} reads a streamed corpus, whose texts are not counted: it "
            "cannot be mixed with other corpora or cut by max_tokens. Set batch_size and one "
            "corpus, or data.stream=false"
        )
