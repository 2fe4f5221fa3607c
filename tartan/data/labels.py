"""Labels: from what a source writes to what an objective is trained on."""

from collections.abc import Mapping, Sequence
from itertools import chain

from tartan.data.rows import Class, Example, Label, kind
from tartan.errors import DataError, suggest
from tartan.objective import LabelKind

SCORE = "score"
"""What the one output is called where the label is a number."""


def label_names(
    name: str,
    labels: LabelKind,
    train: Sequence[Example],
    others: Sequence[Example],
    order: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """What a head's outputs stand for: the classes or tags that occur in train, or the score.

    Args:
        name: the task's.
        labels: the kind of its labels.
        train: the training rows.
        others: the rows of dev and test.
        order: names in the order of their ids, where the source declares one; sorted otherwise.

    Raises:
        DataError: labels mix types, train has fewer than two classes, or another row has a class
            that train lacks.
    """
    if labels is LabelKind.NUMBER:
        return (SCORE,)
    check_label_types([*train, *others])
    # Sorted before they are named: integers keep the order of numbers.
    found = sorted(set(chain.from_iterable(map(classes, train))))
    names = [label_name(label) for label in found]
    what, noun = ("label", "class") if labels is LabelKind.CLASS else ("tag", "tag")
    if len(names) < 2:
        raise DataError(f"{name}: train has the one {noun} '{names[0]}': give it at least two")
    check_known(others, names, what)
    return tuple(names) if order is None else tuple(sorted(names, key=order.index))


def classes(example: Example) -> tuple[Class, ...]:
    """A row's class, or the tags of its words; not for numbers."""
    label = example.label
    assert not isinstance(label, float)
    return label if isinstance(label, tuple) else (label,)


def label_name(label: Class) -> str:
    """A class as a name.

    >>> label_name(True), label_name(3), label_name("Uses")
    ('true', '3', 'Uses')
    """
    return str(label).lower() if isinstance(label, bool) else str(label)


def label_value(label: Label, ids: Mapping[str, int]) -> int | float | list[int]:
    """A label as an objective reads it: an id, a number, or one id for each word."""
    if isinstance(label, tuple):
        return [ids[tag] for tag in label]
    return label if isinstance(label, float) else ids[label_name(label)]


def check_label_types(examples: Sequence[Example]) -> None:
    """DataError at the first row whose label is of another type than the first row's."""
    first = examples[0]
    for example in examples:
        if type(example.label) is not type(first.label):
            raise DataError(
                f"{example.place}: label is {kind(example.label)}, but {kind(first.label)} "
                f"at {first.place}: use one type throughout"
            )


def check_known(examples: Sequence[Example], names: Sequence[str], what: str = "label") -> None:
    """DataError at the first row with a class or tag that train lacks."""
    known = frozenset(names)
    for example in examples:
        for label in map(label_name, classes(example)):
            if label not in known:
                hint, listed = suggest(label, names), ", ".join(sorted(names))
                full = hint if listed in hint else f"{hint} (train has {listed})"
                raise DataError(
                    f"{example.place}: {what} '{label}' does not occur in train: {full}"
                )
