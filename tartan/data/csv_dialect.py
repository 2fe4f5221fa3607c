"""How the cells of a CSV file are separated, by its first rows."""

import csv
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from tartan.data.csv_file import Dialect, has_cells
from tartan.data.lines import LONGEST, raw_lines

SEPARATORS: Mapping[str, str] = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What may separate the cells of a .csv file."""
COMPARED = 10
"""Rows after the header whose numbers of cells are compared with the header's."""
NAMED = re.compile(r'"?sep=([^\w\s"]|\t)"?', re.IGNORECASE)
"""The line before the header by which Excel knows the separator."""


def find_dialect(path: Path) -> Dialect:
    """Return how the cells of a CSV file are separated.

    A first line such as `sep=;` names the separator. Otherwise it is the one that divides most of
    the first rows into as many cells as the header, more than one; if several do, the one with
    the most cells.

    Raises:
        DataError: a line cannot be read, as `raw_lines`.
    """
    for _, first in islice(raw_lines(path), 1):
        if named := NAMED.fullmatch(first.strip("\r\n")):
            return Dialect(named[1], skipped=1)
    fits = {each: _fit(path, each) for each in SEPARATORS}
    return Dialect(max(fits, key=lambda each: fits[each]))


def _fit(path: Path, separator: str) -> tuple[int, int]:
    """Return how many rows have as many cells as the header, more than one; and the header's."""
    sizes = _sizes(path, separator)
    header = next(sizes, 0)
    if header <= 1:
        return 0, header
    return 1 + sum(size == header for size in islice(sizes, COMPARED)), header


def _sizes(path: Path, separator: str) -> Iterator[int]:
    """Yield the number of cells of each row, up to the first that is not CSV."""
    csv.field_size_limit(LONGEST)
    lines = (line for _, line in raw_lines(path))
    try:
        yield from (
            len(cells) for cells in csv.reader(lines, delimiter=separator) if has_cells(cells)
        )
    except csv.Error:
        return
