"""Rows in Arrow files that are memory-mapped: of any number, a batch at a time is in memory.

`datasets` writes the files. The pages of a mapped file that were read stay in memory as long as the
system has no other use for them.
"""

import io
import mmap
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

import datasets
import pyarrow
from datasets import Dataset, Features
from datasets.arrow_writer import ArrowWriter
from datasets.table import InMemoryTable

from tartan.errors import DataError

Columns = Mapping[str, list[Any]]
"""A batch of rows: lists of equal length, by column."""

ROWS, CHARACTERS = 1000, 2**18
"""A batch has at most that many rows; as few as one where their texts are longer in all."""


def cache_directory() -> Path:
    """Return the directory below that of `datasets` where tartan keeps its files."""
    return Path(datasets.config.HF_DATASETS_CACHE, "tartan")


def spool(batches: Iterable[Columns], features: Features) -> Dataset:
    """Write rows to a file without a name, which is gone with the process, and map it.

    Raises:
        DataError: the file cannot be written.
    """
    with _nameless() as file:
        try:
            write(file, batches, features)
        except OSError as error:
            raise _unwritten(error) from error
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    table = pyarrow.ipc.open_stream(pyarrow.py_buffer(mapped)).read_all()
    # Pickled by its content: there is no file that another process could map.
    return Dataset(InMemoryTable(table), fingerprint=uuid4().hex)


class Sink(io.BufferedWriter):
    """Writes to a file that pyarrow must not close: an error while closing would be lost."""

    def close(self) -> None:
        """Write what is in the buffer."""
        self.flush()


def write(file: io.FileIO, batches: Iterable[Columns], features: Features) -> None:
    """Write rows to an Arrow file."""
    sink = Sink(file)
    with ArrowWriter(stream=sink, features=features) as writer:
        for batch in batches:
            writer.write_batch(dict(batch))
        writer.finalize()
    sink.flush()


def _nameless() -> io.FileIO:
    """Open a file that has no name, in the cache or, without one, in TMPDIR. DataError if not."""
    if datasets.is_caching_enabled():
        try:
            cache_directory().mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryFile(buffering=0, dir=cache_directory())
        except OSError:
            pass  # another user's, perhaps; whoever caches rows reports it
    try:
        return tempfile.TemporaryFile(buffering=0)
    except OSError as error:
        raise _unwritten(error) from error


def _unwritten(error: OSError) -> DataError:
    """Return the error for rows that cannot be written."""
    place = cache_directory() if datasets.is_caching_enabled() else tempfile.tempdir or "TMPDIR"
    return DataError(
        f"{place}: rows cannot be written there ({error.strerror or error}): make room, or "
        "set HF_DATASETS_CACHE, or with cache=false TMPDIR, to another directory"
    )


def in_batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[Columns]:
    """Yield rows of the same columns, batch by batch."""
    batch: list[Mapping[str, Any]] = []
    characters = 0
    for row in chain(rows, [None]):
        if batch and (row is None or len(batch) == ROWS or characters >= CHARACTERS):
            yield {column: [each[column] for each in batch] for column in batch[0]}
            batch, characters = [], 0
        if row is not None:
            batch.append(row)
            characters += sum(len(value) for value in row.values() if isinstance(value, str))


def batches_of(rows: Dataset) -> Iterator[Columns]:
    """Yield the rows of a dataset, batch by batch, with no more than one of them in memory."""
    for table in rows.with_format("arrow").iter(ROWS):
        parts = -(-table.nbytes // CHARACTERS)
        step = max(1, table.num_rows // max(1, parts))
        for start in range(0, table.num_rows, step):
            yield table.slice(start, step).to_pydict()
