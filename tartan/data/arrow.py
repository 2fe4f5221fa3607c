"""Rows in Arrow files that are memory-mapped: of any number, a batch at a time is in memory.

`datasets` writes and maps the files. The pages of a mapped file that were read stay in memory as
long as the system has no other use for them.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

import datasets
from datasets import Dataset, Features
from datasets.arrow_writer import ArrowWriter
from datasets.table import InMemoryTable

from tartan.errors import DataError

Columns = Mapping[str, list[Any]]
"""A batch of rows: lists of equal length, by column."""

ROWS, CHARACTERS = 1000, 2**18
"""A batch has at most that many rows; as few as one where their texts are longer in all."""


def cache_directory() -> Path:
    """Where `datasets` keeps its files, and below it tartan its own."""
    return Path(datasets.config.HF_DATASETS_CACHE, "tartan")


def scratch_directory() -> Path:
    """Where files are that last as long as the process: the cache, or where that is off, TMPDIR."""
    if datasets.is_caching_enabled():
        return cache_directory()
    return Path(tempfile.gettempdir())


def spool(batches: Iterable[Columns], features: Features) -> Dataset:
    """Write rows to a file that is gone with the process, however it ends, and map it.

    Raises:
        DataError: the file cannot be written.
    """
    directory = scratch_directory()
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".rows-", delete=False) as file:
            path = Path(file.name)
        try:
            write(path, batches, features)
            table = Dataset.from_file(str(path)).data.table
        finally:
            with suppress(PermissionError):  # where a file that is mapped cannot be removed
                path.unlink()
    # Pickled by its content: of its file, the mapping alone is left.
    return Dataset(InMemoryTable(table), fingerprint=uuid4().hex)


def write(path: Path, batches: Iterable[Columns], features: Features) -> None:
    """Write rows to an Arrow file."""
    with ArrowWriter(path=str(path), features=features) as writer:
        for batch in batches:
            writer.write_batch(dict(batch))
        writer.finalize()


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Run a block that writes in a directory. DataError, in one line, where it cannot."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{directory}: rows cannot be written there ({error.strerror or error}): make room, or "
            "set HF_DATASETS_CACHE, or with cache=false TMPDIR, to another directory"
        ) from error


def in_batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[Columns]:
    """Rows of the same columns, batch by batch."""
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
    """The rows of a dataset, batch by batch, without having more than one of them in memory."""
    for table in rows.with_format("arrow").iter(ROWS):
        parts = -(-table.nbytes // CHARACTERS)
        step = max(1, table.num_rows // max(1, parts))
        for start in range(0, table.num_rows, step):
            yield table.slice(start, step).to_pydict()
