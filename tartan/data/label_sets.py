"""Several labels in one cell, or a column for each label."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from datasets import Features

from tartan.data.rows import Row, kind, whole
from tartan.data.tables import Table
from tartan.errors import DataError, shown

SEPARATORS = ("|", ";", ",")
"""What separates labels in a cell: the first of these that occurs in the column."""
LISTED = re.compile(r"\[\s*((?:'[^']*'|\"[^\"]*\")\s*(?:,\s*(?:'[^']*'|\"[^\"]*\")\s*)*,?)?\s*\]")
"""A list as Python writes it."""
ENTRY = re.compile(r"'([^']*)'|\"([^\"]*)\"")
YES, NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no", ""})
INDICATED = "labels"
"""The role and name of the column that `IndicatorTable` makes."""


def split_labels(cell: str, separator: str | None, place: str) -> list[str]:
    """Return the labels in a cell; none if it is blank.

    Args:
        cell: labels with a separator between, or a list as JSON or Python write it.
        separator: what stands between labels; None where the cell has to be a list.
        place: for error lines.

    Raises:
        DataError: a label is empty, or the cell is neither.

    >>> [split_labels(cell, ";", "here") for cell in ("a; b", "['a', 'b']", "")]
    [['a', 'b'], ['a', 'b'], []]
    """
    text = cell.strip()
    if not text:
        return []
    if text.startswith("["):
        found = _listed(text)
        if found is not None:
            return found
    if separator is None:
        raise DataError(
            f"{place}: label is the string '{shown(text)}': make it a list of strings, or read the "
            "data with data=files, which splits strings"
        )
    labels = [label.strip() for label in text.split(separator)]
    if not all(labels):
        raise DataError(
            f"{place}: label is '{shown(text)}', where a label beside '{separator}' is empty: "
            f"remove the '{separator}'"
        )
    return labels


def separator_in(table: Table, column: str) -> str | None:
    """Return what separates the labels in a column's cells; None if no cell has several."""
    seen: set[str] = set()
    for row in table.rows([column]):
        cell = row.values.get(column)
        if isinstance(cell, str) and not _is_list(cell):
            seen.update(each for each in SEPARATORS if each in cell)
            if SEPARATORS[0] in seen:
                break
    return next((each for each in SEPARATORS if each in seen), None)


@dataclass(frozen=True)
class IndicatorTable:
    """A table with a column for each label, 1 where a row has it, as one with a list of labels.

    Attributes:
        table: the table as it is.
        names: the columns of the labels.
    """

    table: Table
    names: Sequence[str]

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns, with that of the lists."""
        return [*self.table.columns, INDICATED]

    @property
    def features(self) -> Features | None:
        """No declared types: the lists have none."""
        return None

    @property
    def typed(self) -> bool:
        """False where every value is a string as it was written."""
        return self.table.typed

    def size(self) -> int:
        """Return the number of rows."""
        return self.table.size()

    def rows(self, columns: Sequence[str], /) -> Iterator[Row]:
        """Yield the rows. DataError where a value is neither 0 nor 1."""
        own = [column for column in columns if column != INDICATED]
        for row in self.table.rows([*own, *self.names]):
            labels = [name for name in self.names if indicated(row.values.get(name), name, row)]
            yield Row({**row.values, INDICATED: labels}, row.line)


def indicated(value: object, name: str, row: Row) -> bool:
    """Return whether a row has a label. DataError where the value is neither 0 nor 1."""
    value = whole(value)
    text = str(value).strip().lower() if isinstance(value, str | int | float) else None
    if text in YES or text in NO:
        return text in YES
    found = f"'{shown(str(value))}'" if isinstance(value, str | int | float) else kind(value)
    raise DataError(f"{row.line}: column '{name}' is {found}: write 1 or 0")


def _is_list(cell: str) -> bool:
    """Return whether a cell is a list as JSON or Python write it."""
    return cell.strip().startswith("[") and _listed(cell.strip()) is not None


def _listed(text: str) -> list[str] | None:
    """Return the entries of a list of strings; None if the text is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        if not LISTED.fullmatch(text):
            return None
        return [one or other for one, other in ENTRY.findall(text)]
    plain = isinstance(found, list) and all(isinstance(each, str | int) for each in found)
    return [str(each) for each in found] if plain else None
