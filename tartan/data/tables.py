"""Tables: rows of a split that can be read again and again, in whatever format they are stored."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

from datasets import ClassLabel, Dataset, Features, List

from tartan.data.arrow import batches_of
from tartan.data.columnar import by_row
from tartan.data.csv_file import Dialect, csv_columns, read_csv
from tartan.data.json_file import read_json
from tartan.data.rows import Row
from tartan.errors import DataError


class Table(Protocol):
    """The rows of one split."""

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns; of JSON, the fields of all rows in order of appearance."""

    @property
    def features(self) -> Features | None:
        """The types that are declared of the columns, if any are."""

    @property
    def typed(self) -> bool:
        """False where every value is a string as it was written: CSV."""

    def size(self) -> int:
        """Return the number of rows."""

    def rows(self, columns: Sequence[str], /) -> Iterator[Row]:
        """Yield the rows, with at least those of the columns that they have."""


@dataclass(frozen=True)
class DatasetTable:
    """Rows of a dataset in Arrow files."""

    dataset: Dataset
    typed: bool = True

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns."""
        names: Sequence[str] = self.dataset.column_names
        return names

    @property
    def features(self) -> Features | None:
        """The columns' types."""
        return self.dataset.features

    def size(self) -> int:
        """Return the number of rows."""
        return len(self.dataset)

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the rows. DataError where a string is not UTF-8."""
        for batch in batches_of(self.dataset.select_columns(list(columns))):
            yield from (Row(values, "") for values in by_row(batch))


class TextTable:
    """Rows of CSV or JSON files."""

    def __init__(
        self,
        files: Sequence[Path],
        read: Callable[[Path], Iterator[Row]],
        columns: Sequence[str],
        declared: Features | None,
        typed: bool,
    ) -> None:
        """Take what reads the rows of a file, and what is known of the columns."""
        self._files, self._read = files, read
        self.columns, self.features, self.typed = columns, declared, typed

    def size(self) -> int:
        """Return the number of rows. DataError where one cannot be read."""
        return sum(1 for _ in self.rows(()))

    def rows(self, _columns: Sequence[str], /) -> Iterator[Row]:
        """Yield the rows. DataError at the first that cannot be read."""
        return chain.from_iterable(map(self._read, self._files))


def csv_table(
    files: Sequence[Path], dialect: Callable[[Path], Dialect], declared: Features | None
) -> TextTable:
    """Return the rows of CSV files. DataError where the first file's header cannot be read.

    Args:
        files: one or more.
        dialect: returns how the cells of a file are separated.
        declared: the columns' types, if any are declared.
    """

    def read(path: Path) -> Iterator[Row]:
        rows = read_csv(path, dialect(path))
        return (Row(cells, f"{path.name}:{line}") for line, cells in rows)

    return TextTable(files, read, csv_columns(files[0], dialect(files[0])), declared, False)


def json_table(
    files: Sequence[Path], declared: Features | None = None, looked_at: int | None = None
) -> TextTable:
    """Return the rows of JSON files, which are read once for the names of the columns.

    Args:
        files: one or more.
        declared: the columns' types, if any are declared.
        looked_at: how many rows are read for the columns; None for all.

    Raises:
        DataError: one of these rows cannot be read, or none of them has a field.
    """

    def read(path: Path) -> Iterator[Row]:
        return (
            Row(values, f"{path.name}:{place.rpartition(':')[2]}")
            for place, values in read_json(path)
        )

    rows = islice(chain.from_iterable(map(read, files)), looked_at)
    columns = list(dict.fromkeys(name for row in rows for name in row.values))
    if not columns:
        raise DataError(f"{files[0]}: the rows have no fields: give every row a text")
    return TextTable(files, read, columns, declared, True)


def declared_names(features: Features | None, column: str) -> Sequence[str] | None:
    """Return the class or tag names that a column declares, in the order of their ids, if any."""
    feature = (features or {}).get(column)
    feature = feature.feature if isinstance(feature, List) else feature
    return list(feature.names) if isinstance(feature, ClassLabel) else None
