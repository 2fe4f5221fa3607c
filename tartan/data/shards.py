"""The parts of a corpus that is read as a stream: files, or the shards of an `IterableDataset`."""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import Protocol

import datasets
from datasets import Features, IterableDataset

from tartan.data.formats import open_shard
from tartan.data.hub_files import is_directory, saved_splits
from tartan.data.lines import expand
from tartan.data.rows import Row
from tartan.data.scratch import scratch
from tartan.data.text_columns import TextColumns, texts_in
from tartan.errors import ConfigError, DataError, suggest


class Shard(Protocol):
    """A part of a corpus that can be read from any of its rows on."""

    def texts(self, skip: int) -> Iterator[Sequence[str]]:
        """Yield the texts of each row, none of a blank one, from the row at number `skip` on.

        Raises:
            DataError: a row cannot be read or used.
        """

    def described(self) -> Sequence[str | int]:
        """Return what identifies the shard, without reading it."""


@dataclass(frozen=True)
class FileShard:
    """A file of texts.

    Attributes:
        path: the file.
        columns: where the text is.
    """

    path: Path
    columns: TextColumns

    def texts(self, skip: int) -> Iterator[Sequence[str]]:
        """Yield the texts of each row, as `Shard` says."""
        return texts_in(open_shard(self.path), self.columns, str(self.path), skip)

    def described(self) -> Sequence[str | int]:
        """Return name, size in bytes and column."""
        return [self.path.name, self.path.stat().st_size, self.columns.named or ""]


@dataclass(frozen=True)
class HubShard:
    """One shard of a data set of the hub, of which no file is stored.

    Attributes:
        rows: the data set.
        number: the number of the shard.
        name: of the data set and its split, for error lines.
        columns: where the text is.
        version: what identifies the data set's files.
    """

    rows: IterableDataset
    number: int
    name: str
    columns: TextColumns
    version: str

    def texts(self, skip: int) -> Iterator[Sequence[str]]:
        """Yield the texts of each row, as `Shard` says."""
        table = StreamTable(self.rows.shard(self.rows.num_shards, self.number), skip)
        try:
            yield from texts_in(table, self.columns, self.name)
        except (DataError, ConfigError):
            raise
        except Exception as error:  # the network's errors, and those of every format
            raise DataError(
                f"{self.name}: the stream failed after row {skip} of shard {self.number} "
                f"({shorten(str(error), 200) or type(error).__name__}): start the command again to "
                "resume"
            ) from error

    def described(self) -> Sequence[str | int]:
        """Return data set, version, number of the shard and column."""
        return [self.name, self.version, self.number, self.columns.named or ""]


class StreamTable:
    """Rows of an `IterableDataset`: a `Table` whose size is not known."""

    typed = True

    def __init__(self, rows: IterableDataset, skip: int) -> None:
        """Find the columns: those that are declared, or those of the first row of all.

        Args:
            rows: the data set.
            skip: rows that are left out at the beginning.
        """
        self._rows = rows.skip(skip)
        self.features: Features | None = rows.features
        first: dict[str, object] = next(iter(rows), {}) if rows.column_names is None else {}
        self.columns: Sequence[str] = rows.column_names or list(first)

    def size(self) -> int:
        """Raise TypeError: it would have to be read."""
        raise TypeError("the size of a stream is not known")

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the rows."""
        for values in self._rows.select_columns(list(columns)):
            yield Row(values, "")


def hub_shards(
    name: str, config_name: str | None, split: str, columns: TextColumns
) -> list[HubShard]:
    """Return the shards of a data set of the hub, or of a local directory in its formats.

    Raises:
        ConfigError: it has no such split.
        DataError: it cannot be found or read.
    """
    try:
        found, version = _streaming(name, config_name, split)
    except Exception as error:
        raise DataError(
            f"{columns.option}: {name} cannot be streamed ({shorten(str(error), 300)}): check "
            "the id or directory"
        ) from error
    if split not in found:
        raise ConfigError(
            f"{columns.option}.split={split}: {name} has no such split: "
            f"{suggest(split, list(found))}"
        )
    rows = found[split]
    first = HubShard(rows, 0, f"{name} {split}", columns, version)
    return [replace(first, number=number) for number in range(rows.num_shards)]


def _streaming(
    name: str, config_name: str | None, split: str
) -> tuple[Mapping[str, IterableDataset], str]:
    """Return the splits of a data set as streams, and what identifies the files of one."""
    path = expand(name)
    if not is_directory(path):
        with scratch(Path(tempfile.gettempdir())) as cache:
            builder = datasets.load_dataset_builder(name, config_name, cache_dir=str(cache))
            return builder.as_streaming_dataset(), str(builder.hash or builder.config_id)
    if (parts := saved_splits(path)) is not None:
        sizes = {part: len(rows) for part, rows in parts.items()}
        return {p: rows.to_iterable_dataset() for p, rows in parts.items()}, json.dumps(sizes)
    with scratch(Path(tempfile.gettempdir())) as cache:
        builder = datasets.load_dataset_builder(str(path), config_name, cache_dir=str(cache))
        files = [Path(file) for file in (builder.config.data_files or {}).get(split, [])]
        sizes = {file.name: file.stat().st_size for file in files}
        return builder.as_streaming_dataset(), json.dumps(sizes)


def shards_hash(shards: Sequence[Shard]) -> str:
    """Return a hash, in hexadecimal, of what identifies shards; their content is not read."""
    return hashlib.sha256(json.dumps([shard.described() for shard in shards]).encode()).hexdigest()
