"""Files of rows, read by the format that their name says."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tartan.data.columnar import ColumnarTable
from tartan.data.csv_dialect import find_dialect
from tartan.data.csv_file import Dialect
from tartan.data.lines import OPENERS, read_lines
from tartan.data.rows import Row
from tartan.data.tables import Table, TextTable, csv_table, json_table
from tartan.errors import DataError


def open_table(files: Sequence[Path]) -> Table:
    """Return the rows of files of one format, which may be compressed; they are read lazily.

    CSV, TSV, JSON lines, JSON lists, Parquet, Arrow, and text files, whose lines are rows with the
    column `text`. Every cell of CSV and TSV is a string as it is written.

    Args:
        files: one or more.

    Raises:
        DataError: a name ends in no known format, formats differ, or a file's columns cannot be
            read.
    """
    formats = {FORMATS[format_of(file)]: file for file in files}
    if len(formats) > 1:
        listed = " and ".join(file.name for file in formats.values())
        raise DataError(f"{listed} are of different formats: use one format")
    return next(iter(formats))(files)


def open_shard(path: Path) -> Table:
    """Return the rows of a file that is read as a stream.

    As `open_table`, but columns of JSON are the fields of the first row: a stream is read once.
    """
    if FORMATS[format_of(path)] is json_table:
        return json_table([path], looked_at=1)
    return open_table([path])


def format_of(path: Path) -> str:
    """Return the end of a file's name that says its format, in lower case: `.csv` of `a.CSV.gz`.

    Raises:
        DataError: it is no known format.
    """
    found = ending(path)
    if found in FORMATS:
        return found
    known = " ".join(FORMATS)
    packed = " ".join(OPENERS)
    hint = "save the sheet as CSV (UTF-8)" if found in SPREADSHEETS else "convert the file"
    raise DataError(
        f"{path}: '{found or path.name}' is not a known format ({known}; compressed: {packed}): "
        f"{hint}"
    )


SPREADSHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers")
"""Ends of names of spreadsheets, which programs save as CSV."""
UNREADABLE = (
    *SPREADSHEETS, ".zip", ".7z", ".rar", ".tar", ".tgz", ".pkl", ".pickle", ".xml", ".orc",
    ".avro", ".conll", ".conllu",
)  # fmt: skip
"""Ends of names of files that hold rows and cannot be read."""


def is_readable(path: Path) -> bool:
    """Return whether a file's name ends in a known format."""
    return ending(path) in FORMATS


def ending(path: Path) -> str:
    """Return the last suffix of a name, in lower case, that of its compression left out."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in OPENERS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def stem(path: Path) -> str:
    """Return a file's name without the suffixes of format and compression."""
    name = path.name
    if path.suffix.lower() in OPENERS:
        name = Path(name).stem
    return Path(name).stem


def _csv(files: Sequence[Path]) -> Table:
    """Read CSV files, each with its own separator."""
    return csv_table(files, find_dialect, None)


def _tsv(files: Sequence[Path]) -> Table:
    """Read files whose cells are separated by tabs."""
    return csv_table(files, lambda _: Dialect("\t"), None)


def _text(files: Sequence[Path]) -> Table:
    """Read files of which each line is a text."""

    def read(path: Path) -> Iterator[Row]:
        return (
            Row({"text": text}, f"{path.name}:{place.rpartition(':')[2]}")
            for place, text in read_lines(path)
        )

    return TextTable(files, read, ["text"], None, True)


FORMATS: Mapping[str, Callable[[Sequence[Path]], Table]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".tab": _tsv,
    ".json": json_table,
    ".jsonl": json_table,
    ".ndjson": json_table,
    ".parquet": ColumnarTable,
    ".pq": ColumnarTable,
    ".arrow": ColumnarTable,
    ".feather": ColumnarTable,
    ".txt": _text,
}
"""What reads each format, by the end of a name."""
