"""Rows of a table to checked examples: ids become names, cells of CSV become labels."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from datasets import Features

from tartan.batch import LabelKind
from tartan.data.cells import (
    MissingAmongNumbers,
    MissingLabelError,
    check_cell,
    is_missing,
    to_number,
)
from tartan.data.label_sets import split_labels
from tartan.data.rows import ROLES, Example, Row, check_row, whole
from tartan.data.tables import declared_names
from tartan.errors import DataError, shown, suggest

LONGEST_ID = 10
"""Characters of an id from which on no dataset has as many classes."""


@dataclass(frozen=True)
class Selected:
    """The rows of one split.

    Attributes:
        rows: reads them, from the first.
        columns: by role.
        place: dataset and split, for error lines.
        features: the declared types.
        typed: False where every value is a string as it was written.
        train: True for the split whose labels decide what classes there are.
        option: the option that names the column of a role.
        separator: what separates labels that stand in one string; None where none may.
        skip: whether rows without a label are left out.
    """

    rows: Callable[[], Iterator[Row]]
    columns: Mapping[str, str]
    place: str
    features: Features | None
    typed: bool
    train: bool
    option: str = "data.{}_column"
    separator: str | None = None
    skip: bool = False

    def at(self, number: int, row: Row) -> str:
        """Return a row's place: its number counts from 0."""
        return f"{self.place} row {number}" + (f" ({row.line})" if row.line else "")


def unlabelled_rows(selected: Selected, labels: LabelKind) -> Iterator[tuple[int, Row]]:
    """Yield the rows that have no label, with their numbers."""
    column = selected.columns[ROLES[labels][-1]]
    declared = declared_names(selected.features, column) is not None
    words = words_are_missing(selected, labels)
    for number, row in enumerate(selected.rows()):
        if is_missing(row.values.get(column), words, declared):
            yield number, row


def words_are_missing(selected: Selected, labels: LabelKind) -> bool:
    """Return whether words such as "NA" mean that a label is missing.

    In cells they do among numbers, be they classes, for which train is read once.
    """
    column = selected.columns[ROLES[labels][-1]]
    if selected.typed or declared_names(selected.features, column) is not None:
        return False
    if labels is not LabelKind.CLASS or not selected.train:
        return labels is LabelKind.NUMBER
    among_numbers = MissingAmongNumbers()
    for row in selected.rows():
        if isinstance(label := row.values.get(column), str) and label.strip():
            among_numbers.see(label, row.line)
    return among_numbers.found


def read_numbered(selected: Selected, labels: LabelKind) -> Iterator[tuple[int, Example]]:
    """Yield checked rows with their numbers, from 0; ids become names.

    Raises:
        DataError: at the first row that cannot be used.
    """
    target = ROLES[labels][-1]
    names = declared_names(selected.features, selected.columns[target])
    among_numbers = MissingAmongNumbers()
    words = selected.skip and words_are_missing(selected, labels)
    for number, row in enumerate(selected.rows()):
        here = selected.at(number, row)
        given = row.values.get(selected.columns[target])
        if selected.skip and is_missing(given, words, names is not None):
            continue
        # Whether every row has a second text, or none, is checked where the rows are compared.
        values = {
            role: _value(row, role, selected, here)
            for role, column in selected.columns.items()
            if role != "pair" or column in row.values
        }
        label = values[target]
        if names is not None:
            if not selected.typed:
                _check_one_meaning(label, names, here)
            values[target] = named(label, names, here)
        else:
            values[target] = _label(label, labels, selected, here)
            if isinstance(label, str) and labels is LabelKind.CLASS and not selected.typed:
                among_numbers.see(label, here)
        yield number, check_row(values, labels, here)
    if selected.train:
        among_numbers.check()


def _label(label: object, labels: LabelKind, selected: Selected, place: str) -> object:
    """Return a label that declares no names, as `check_row` takes it.

    Raises:
        DataError: it is missing, or the string of a cell cannot be used.
    """
    if label is None:
        raise _unlabelled(None, place)
    if isinstance(label, str):
        if labels is LabelKind.SETS:
            return split_labels(label, selected.separator, place)
        if not selected.typed:
            check_cell(label, place)
            return to_number(label, place) if labels is LabelKind.NUMBER else label
        if labels is LabelKind.CLASS and not label.strip():
            raise MissingLabelError(place, "label is empty", "fill it or remove the row")
    if labels is LabelKind.CLASS and isinstance(label, float) and math.isnan(label):
        raise _unlabelled(label, place)
    return label


def named(ids: object, names: Sequence[str], place: str) -> str | list[str]:
    """Return the names of ids. DataError if the row is unlabelled: -1, or no id at all."""
    if isinstance(ids, list):
        return [_name(each, names, place) for each in ids]
    return _name(ids, names, place)


def _check_one_meaning(cell: object, names: Sequence[str], place: str) -> None:
    """DataError where a cell is the name of one class and the id of another.

    Types tell names and ids apart in other formats.
    """
    if not isinstance(cell, str) or cell not in names:
        return
    number = _id(cell)
    if number is not None and number < len(names) and names[number] != cell:
        raise DataError(
            f"{place}: label {cell} is the name of a class and the id of class "
            f"'{names[number]}', by the names that the dataset declares: remove them from its "
            "card (README.md), or write the rows as JSON lines, ids as numbers and names as strings"
        )


def _value(row: Row, role: str, selected: Selected, place: str) -> object:
    """Return what a row holds in a role. DataError if it has no such field."""
    column = selected.columns[role]
    if column not in row.values:
        what = f"the row has no field '{column}' ({suggest(column, row.values)})"
        remedy = f"add it, or set {selected.option.format(role)}=..."
        if role == "label":
            raise MissingLabelError(place, what, remedy)
        raise DataError(f"{place}: {what}: {remedy}")
    return row.values[column]


def _name(label: object, names: Sequence[str], place: str) -> str:
    """Return the name of an id, or a name that is declared. DataError if there is none."""
    label = whole(label)
    if isinstance(label, str):
        if label in names:
            return label
        number = _id(label)
        label = label if number is None else number
    if label is None or label in ("", -1):
        raise _unlabelled(label, place)
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < len(names):
        raise DataError(
            f"{place}: label {shown(str(label))} is not one of the {len(names)} classes that the "
            f"dataset declares: {suggest(str(label), names)}"
        )
    return names[label]


def _id(cell: str) -> int | None:
    """Return the id that a cell writes; None if it writes none, or one that no dataset has."""
    return int(cell) if len(cell) < LONGEST_ID and cell.isascii() and cell.isdigit() else None


def _unlabelled(label: object, place: str) -> DataError:
    reads = "" if label == -1 else "; it reads as missing"
    return MissingLabelError(
        place,
        f"the row is unlabelled (label {label}{reads})",
        "fill it, remove the row, or choose splits with labels in data.splits",
    )
