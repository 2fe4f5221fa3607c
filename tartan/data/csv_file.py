"""CSV files, cell by cell as written: nothing is guessed of types, and no text means "missing"."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from tartan.data.lines import LONGEST, raw_lines
from tartan.errors import DataError, shown


@dataclass(frozen=True)
class Dialect:
    """How cells are separated.

    Attributes:
        separator: between cells.
        quote: around cells that hold a separator, a quote (doubled) or a line break.
        header: the columns' names; None where the first line has them.
        skipped: lines before the rows that are not read.
    """

    separator: str = ","
    quote: str | None = '"'
    header: Sequence[str] | None = None
    skipped: int = 0


class Unnamed(str):
    """The key of a column whose name is empty: keys differ by their spaces, names do not."""


def read_csv(path: Path, dialect: Dialect) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the rows of a CSV file by column, each with the number of its first line.

    Rows without a cell that is filled are skipped.

    Raises:
        DataError: as `raw_lines`, or a row has other cells than the header, or quotes are unpaired.
    """
    rows = _rows(path, dialect)
    header = dialect.header
    if header is None:
        header = read_header(path, rows)
    for number, cells in rows:
        if len(cells) != len(header):
            raise DataError(
                f"{path}:{number}: the row has {_cells(len(cells))} and the header "
                f"{_cells(len(header))}: put cells that hold {dialect.separator!r} in double quotes"
            )
        yield number, dict(zip(header, cells, strict=True))


def csv_columns(path: Path, dialect: Dialect) -> Sequence[str]:
    """Return the names of a CSV file's columns. DataError as `read_csv`."""
    return dialect.header or read_header(path, _rows(path, dialect))


def read_header(path: Path, rows: Iterator[tuple[int, Sequence[str]]]) -> Sequence[str]:
    """Return the keys of a file's columns, by its first row.

    They are the names; of columns without a name, which tables have of row numbers, `Unnamed`.

    Raises:
        DataError: the file has no row, or two of its columns have one name.
    """
    number, header = next(rows, (0, []))
    if not header:
        raise DataError(f"{path}: the file is empty: fill it or remove it")
    for column in header:
        if column and header.count(column) > 1:
            raise DataError(
                f"{path}:{number}: the header has the column '{shown(column)}' twice: rename one"
            )
    blanks = (" " * size for size in count() if " " * size not in header or not size)
    return [column or Unnamed(next(blanks)) for column in header]


def has_cells(cells: Sequence[str]) -> bool:
    """Return whether a row is not blank: spreadsheets write emptied rows as separators alone."""
    return any(cell.strip() for cell in cells)


def _rows(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Yield each row's cells with the number of its first line."""
    csv.field_size_limit(LONGEST)
    reader = csv.reader(
        islice((line for _, line in raw_lines(path)), dialect.skipped, None),
        delimiter=dialect.separator,
        quotechar=dialect.quote,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        strict=True,
    )
    while True:
        number = dialect.skipped + reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"{path}:{number}: the row that begins here is not CSV ({error}): check its double "
                "quotes; inside a quoted cell they are doubled"
            ) from None
        if cells is None:
            return
        if has_cells(cells):
            yield number, cells


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
