"""Parquet and Arrow files: columns with types, read a batch at a time."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow
from datasets import Features
from pyarrow import ipc, parquet

from tartan.data.arrow import ROWS
from tartan.data.lines import OPENERS, reading
from tartan.data.rows import Row
from tartan.errors import DataError, shown


class Opened(Protocol):
    """An open file."""

    @property
    def schema(self) -> pyarrow.Schema:
        """The names and types of its columns."""

    def size(self) -> int:
        """Return the number of its rows."""

    def batches(self, columns: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
        """Yield the rows, batch by batch, with the given columns alone."""


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file."""

    file: parquet.ParquetFile

    @property
    def schema(self) -> pyarrow.Schema:
        """The names and types of its columns."""
        return self.file.schema_arrow

    def size(self) -> int:
        """Return the number of its rows."""
        return int(self.file.metadata.num_rows)

    def batches(self, columns: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
        """Yield the rows, batch by batch, with the given columns alone."""
        yield from self.file.iter_batches(ROWS, columns=list(columns))


@dataclass(frozen=True)
class ArrowFile:
    """An Arrow file, as `datasets` (a stream) or Feather (with an index) writes it."""

    source: pyarrow.NativeFile

    @property
    def schema(self) -> pyarrow.Schema:
        """The names and types of its columns."""
        return self._read()[0]

    def size(self) -> int:
        """Return the number of its rows."""
        return sum(batch.num_rows for batch in self._read()[1])

    def batches(self, columns: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
        """Yield the rows, batch by batch, with the given columns alone."""
        for batch in self._read()[1]:
            part = batch.select(list(columns))
            for start in range(0, part.num_rows, ROWS):
                yield part.slice(start, ROWS)

    def _read(self) -> tuple[pyarrow.Schema, Iterator[pyarrow.RecordBatch]]:
        """Return the types, and the batches from the first."""
        self.source.seek(0)
        if bytes(self.source.read(6)) == b"ARROW1":
            reader = ipc.open_file(self.source)
            return reader.schema, map(reader.get_batch, range(reader.num_record_batches))
        self.source.seek(0)
        stream = ipc.open_stream(self.source)
        return stream.schema, iter(stream)


class ColumnarTable:
    """Rows of Parquet or Arrow files: a `Table`."""

    typed = True

    def __init__(self, files: Sequence[Path], declared: Features | None = None) -> None:
        """Open the files. DataError where one cannot be read."""
        self._files = files
        schema = open_columnar(files[0]).schema
        self.columns: Sequence[str] = schema.names
        self.features = declared or _features(schema)

    def size(self) -> int:
        """Return the number of rows. DataError where a file cannot be read."""
        return sum(open_columnar(file).size() for file in self._files)

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the rows.

        Raises:
            DataError: a file cannot be read, a string is not UTF-8, or Python has no such time.
        """
        for path in self._files:
            file = open_columnar(path)
            names = [column for column in columns if column in file.schema.names]
            self._check(path, file.schema, columns, names)
            try:
                for batch in file.batches(names):
                    yield from (Row(values, path.name) for values in by_row(batch.to_pydict()))
            except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
                raise unreadable(path, error) from None
            except (OverflowError, ValueError) as error:
                raise DataError(
                    f"{path}: a date or time cannot be read ({error}): write it as a string"
                ) from None

    def _check(
        self, path: Path, schema: pyarrow.Schema, columns: Sequence[str], names: Sequence[str]
    ) -> None:
        """DataError where a file has none of the columns, or numbers its classes in another way."""
        first = self._files[0].name
        if columns and not names:
            listed = " or ".join(f"'{shown(column)}'" for column in columns)
            raise DataError(
                f"{path}: the file has no column {listed}, as {first} has: name its columns alike"
            )
        ours, own = self.features or {}, _features(schema) or {}
        for name in names:
            classes = getattr(own.get(name), "names", None)
            if classes and classes != getattr(ours.get(name), "names", classes):
                raise DataError(
                    f"{path}: the classes of column '{shown(name)}' have other numbers than in "
                    f"{first}: write both with the same list of classes"
                )


def open_columnar(path: Path) -> Opened:
    """Open a Parquet or Arrow file, decompressed by its suffix.

    Raises:
        DataError: it is not one, or two of its columns have one name.
    """
    try:
        found = _open(path)
        names = found.schema.names  # an Arrow file is read here for the first time
    except (OSError, pyarrow.ArrowException) as error:
        raise unreadable(path, error) from None
    for name, count in Counter(names).items():
        if count > 1:
            raise DataError(f"{path}: the file has the column '{shown(name)}' twice: rename one")
    return found


def _open(path: Path) -> Opened:
    """Open a file by the end of its name."""
    name = path.with_suffix("") if path.suffix.lower() in OPENERS else path
    if name.suffix.lower() in (".arrow", ".feather", ".ipc"):
        return ArrowFile(_source(path))
    if name is path:
        return ParquetFile(parquet.ParquetFile(path, memory_map=True))
    return ParquetFile(parquet.ParquetFile(_source(path)))


def _source(path: Path) -> pyarrow.NativeFile:
    """Return a file that can be read from any place: mapped, or decompressed without a name."""
    if path.suffix.lower() not in OPENERS:
        return pyarrow.memory_map(str(path))
    target = tempfile.TemporaryFile()  # noqa: SIM115  # closed with what reads it
    with reading(path) as file:
        shutil.copyfileobj(file, target)
        target.seek(0)
    return pyarrow.PythonFile(target, mode="r")


def unreadable(path: Path, error: Exception) -> DataError:
    """Return the error for a file that is damaged, or of another format."""
    suffix = next(end for end in reversed(path.suffixes) if end.lower() not in OPENERS)
    kind = "a Parquet" if suffix.lower() in (".parquet", ".pq") else "an Arrow"
    what = "a string is not UTF-8" if isinstance(error, UnicodeDecodeError) else None
    reason = what or getattr(error, "strerror", None) or str(error).partition("\n")[0]
    return DataError(
        f"{path}: cannot be read as {kind} file ({reason}): write it again, or put a file of "
        "the format that its name says"
    )


def by_row(batch: Mapping[str, Sequence[object]]) -> Iterator[Mapping[str, object]]:
    """Yield the rows of a batch of columns."""
    return (dict(zip(batch, row, strict=True)) for row in zip(*batch.values(), strict=True))


def _features(schema: pyarrow.Schema) -> Features | None:
    """Return the types of columns; None where `datasets` has no name for one, a category say."""
    try:
        return Features.from_arrow_schema(schema)
    except (NotImplementedError, ValueError, TypeError):
        return None
