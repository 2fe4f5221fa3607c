"""Labels: from the values in files to the ids and numbers that objectives train on."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from tartan.batch import LabelKind
from tartan.data.cells import reads_as_missing
from tartan.data.rows import Class, Example, Label, kind
from tartan.errors import DataError, shown, suggest
from tartan.spelling import spelled

ID = re.compile(r"(-?\d+)(?:\.0*)?", re.ASCII)
"""An id as integers and floats are written."""
SCORE = "score"
"""The name of the only output where the label is a number."""


def label_names(
    name: str, labels: LabelKind, found: Iterable[Class], order: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the names of a head's outputs: the classes or tags of train, or the score.

    Args:
        name: the task's.
        labels: the kind of its labels.
        found: the classes or tags of train, each once, all of one type.
        order: names in the order of their ids, where the source declares one; sorted otherwise.

    Raises:
        DataError: there are fewer than two classes.
    """
    if labels is LabelKind.NUMBER:
        return (SCORE,)
    # Sorted before they are named: integers keep the order of numbers, as strings or not.
    names = [label_name(label) for label in in_order(found)]
    noun = "tag" if labels is LabelKind.TAGS else "class"
    if not names:
        raise DataError(f"{name}: no row of train has a label: give some rows labels")
    if len(names) < 2:
        raise DataError(
            f"{name}: train has the one {noun} '{shown(names[0])}': give it at least two"
        )
    return tuple(names) if order is None else tuple(sorted(names, key=order.index))


def in_order(found: Iterable[Class]) -> list[Class]:
    """Return classes of one type in a fixed order: that of numbers if all of them are integers.

    >>> in_order(["10", "9", "007"]), in_order(["10", "9", "x"])
    (['007', '9', '10'], ['10', '9', 'x'])
    """
    listed = sorted(found)
    if all(isinstance(label, str) and label.isascii() and label.isdigit() for label in listed):
        # As integers, but Python refuses to read those of thousands of digits.
        listed.sort(key=lambda label: (len(digits := str(label).lstrip("0")), digits))
    return listed


def classes(example: Example) -> tuple[Class, ...]:
    """Return a row's class, or the tags of its words; not for numbers."""
    label = example.label
    assert not isinstance(label, float)
    return label if isinstance(label, tuple) else (label,)


def label_name(label: Class | float) -> str:
    """Return the name of a class.

    >>> label_name(True), label_name(3), label_name("Uses")
    ('true', '3', 'Uses')
    """
    return str(label).lower() if isinstance(label, bool) else str(label)


def label_value(label: Label, ids: Mapping[str, int]) -> int | float | list[int]:
    """Return a label as an objective reads it: an id, a number, or one id for each word."""
    if isinstance(label, tuple):
        return [ids[tag] for tag in label]
    return label if isinstance(label, float) else ids[label_name(label)]


def as_in_train(label: Class, names: Collection[str]) -> Class:
    """Return a class of dev or test as train writes it: an id may be `1` in one and `1.0` in one.

    Args:
        label: the class.
        names: the classes of train.

    >>> as_in_train("1.0", ["0", "1"]), as_in_train(1, ["0.0", "1.0"]), as_in_train("2.0", ["0"])
    ('1', '1.0', '2.0')
    """
    name = label_name(label)
    if name in names or not (found := ID.fullmatch(name)):
        return label
    alike = [each for each in names if (other := ID.fullmatch(each)) and other[1] == found[1]]
    return alike[0] if len(alike) == 1 else label


def check_label_type(example: Example, first: Example) -> None:
    """Raise DataError if a row's label is of another type than the first row's."""
    if type(example.label) is not type(first.label):
        raise DataError(
            f"{example.place}: label is {kind(example.label)}, but {kind(first.label)} "
            f"at {first.place}: use one type throughout"
        )


def check_known(example: Example, names: Collection[str], what: str) -> None:
    """Raise DataError if a row has a class or tag that train lacks.

    Args:
        example: a row of dev or test.
        names: the classes or tags of train.
        what: `label` or `tag`, for the error line.
    """
    for label in map(label_name, classes(example)):
        if label not in names:
            hint, listed = suggest(label, names), suggest("", names).removeprefix("choose from: ")
            full = hint if listed in hint else f"{hint} (train has {listed})"
            missing = " and reads as missing" if reads_as_missing(label) else ""
            name = shown(spelled(label))
            raise DataError(
                f"{example.place}: {what} '{name}' does not occur in train{missing}: {full}"
            )
