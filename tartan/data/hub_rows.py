"""Rows of a table to checked examples: ids become names, cells of CSV become labels."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from datasets import Features

from tartan.batch import LabelKind
from tartan.data.cells import MissingAmongNumbers, check_cell, to_number
from tartan.data.label_sets import split_labels
from tartan.data.rows import PAIR, ROLES, Example, Row, check_row
from tartan.data.tables import declared_names
from tartan.errors import DataError, shown, suggest


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
        pair_later: whether a row may have a second text that the first row lacks.
    """

    rows: Callable[[], Iterator[Row]]
    columns: Mapping[str, str]
    place: str
    features: Features | None
    typed: bool
    train: bool
    option: str = "data.{}_column"
    separator: str | None = None
    pair_later: bool = True

    def at(self, number: int, row: Row) -> str:
        """Return a row's place: its number counts from 0."""
        return f"{self.place} row {number}" + (f" ({row.line})" if row.line else "")


def read_examples(selected: Selected, labels: LabelKind) -> Iterator[Example]:
    """Yield checked rows; ids become names. DataError at the first row that cannot be used."""
    target = ROLES[labels][-1]
    names = declared_names(selected.features, selected.columns[target])
    among_numbers = MissingAmongNumbers()
    for number, row in enumerate(selected.rows()):
        here = selected.at(number, row)
        values = {role: _value(row, role, selected, here) for role in selected.columns}
        if selected.pair_later and "pair" not in values and "text" in values:
            values |= {"pair": row.values[PAIR]} if PAIR in row.values else {}
        label = values[target]
        if names is not None:
            values[target] = named(label, names, here)
        elif label is None:
            raise _unlabelled(None, here)
        elif labels is LabelKind.SETS:
            if isinstance(label, str):
                values[target] = split_labels(label, selected.separator, here)
        elif isinstance(label, str) and not selected.typed:
            check_cell(label, here)
            if labels is LabelKind.NUMBER:
                values[target] = to_number(label, here)
            else:
                among_numbers.see(label, here)
        elif isinstance(label, float) and labels is LabelKind.CLASS:
            _check_missing(selected, target)
        yield check_row(values, labels, here)
    if selected.train:
        among_numbers.check()


def named(ids: object, names: Sequence[str], place: str) -> str | list[str]:
    """Return the names of ids. DataError if the row is unlabelled: -1, or no id at all."""
    if isinstance(ids, list):
        return [_name(each, names, place) for each in ids]
    return _name(ids, names, place)


def _value(row: Row, role: str, selected: Selected, place: str) -> object:
    """Return what a row holds in a role. DataError if it has no such field."""
    column = selected.columns[role]
    if column not in row.values:
        raise DataError(
            f"{place}: the row has no field '{column}' ({suggest(column, row.values)}): "
            f"add it, or set {selected.option.format(role)}=..."
        )
    return row.values[column]


def _name(label: object, names: Sequence[str], place: str) -> str:
    """Return the name of an id, or a name that is declared. DataError if there is none."""
    if isinstance(label, str):
        if label in names:
            return label
        label = int(label) if label.isascii() and label.isdigit() else label
    if label is None or label in ("", -1):
        raise _unlabelled(label, place)
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < len(names):
        raise DataError(
            f"{place}: label {shown(str(label))} is not one of the {len(names)} classes that the "
            f"dataset declares: {suggest(str(label), names)}"
        )
    return names[label]


def _check_missing(selected: Selected, target: str) -> None:
    """DataError that names the first missing label: one makes a whole column of ids floats."""
    for number, row in enumerate(selected.rows()):
        value = row.values.get(selected.columns[target])
        if value is None or (isinstance(value, float) and math.isnan(value)):
            raise _unlabelled(value, selected.at(number, row))


def _unlabelled(label: object, place: str) -> DataError:
    reads = "" if label == -1 else "; it reads as missing"
    return DataError(
        f"{place}: the row is unlabelled (label {label}{reads}): fill it, remove the row, or "
        "choose splits with labels in data.splits"
    )
