"""Raw rows: what a source reads, and the checks that every source shares."""

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from tartan.batch import LabelKind
from tartan.errors import DataError

Class = str | int | bool
"""A class as it is written in the source; a task uses one of these types throughout."""

Label = Class | float | tuple[str, ...]
"""A class, a number, a sorted set of labels, or one tag for each word."""
LISTS = (LabelKind.SETS, LabelKind.TAGS)
"""The kinds of which a row's label is a list."""

ROLES: Mapping[LabelKind, tuple[str, ...]] = {
    LabelKind.CLASS: ("text", "label"),
    LabelKind.NUMBER: ("text", "label"),
    LabelKind.SETS: ("text", "label"),
    LabelKind.TAGS: ("tokens", "tags"),
}
"""What a row must hold, by the kind of its label; `text` may have a `pair` beside it."""

LARGEST = 1e30
"""The largest number that may be a label: sums of its multiples still fit into float32."""

PAIR = "text_pair"
"""The default name of a row's second text."""


class Row(NamedTuple):
    """One row of a file, not checked yet.

    Attributes:
        values: by column.
        line: `file:line`; the file alone for formats without lines; empty for generated rows.
    """

    values: Mapping[str, object]
    line: str


class Example(NamedTuple):
    """One labelled row as it was read.

    Attributes:
        text: never empty. Where words are tagged, the words with a space between.
        label: what is to be predicted.
        place: where it was read, for error lines: `train.jsonl:12`, for example.
        pair: the second text of a pair; None for a single text.
        words: the words that are tagged; empty where the text as a whole is labelled.
    """

    text: str
    label: Label
    place: str
    pair: str | None = None
    words: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The text, and the second one of a pair."""
        return (self.text,) if self.pair is None else (self.text, self.pair)


KINDS: Mapping[type, str] = {
    type(None): "null",
    bool: "a boolean",  # before the integers, which it is one of
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "a list",
    dict: "an object",
}


def kind(value: object) -> str:
    """Return the kind of a value, as error lines name it.

    >>> kind(None), kind([])
    ('null', 'a list')
    """
    known = (words for cls, words in KINDS.items() if isinstance(value, cls))
    return next(known, type(value).__name__)


def check_row(values: Mapping[str, object], labels: LabelKind, place: str) -> Example:
    """Return a row from its values.

    Args:
        values: by role: those of `ROLES`, and `pair` where the row has a second text.
        labels: the kind of its label.
        place: where it was read, for error lines.

    Raises:
        DataError: a value cannot be used.
    """
    if labels is LabelKind.TAGS:
        words = check_words(values["tokens"], "tokens", place)
        tags = check_words(values["tags"], "tags", place)
        if len(words) != len(tags):
            raise DataError(
                f"{place}: tokens has {len(words)} entries and tags has {len(tags)}: "
                "give each token one tag"
            )
        return Example(" ".join(words), tags, place, words=words)
    text = check_text(values["text"], place)
    pair = check_text(values["pair"], place, "the second text") if "pair" in values else None
    checks: Mapping[LabelKind, Callable[[object, str], Label]] = {
        LabelKind.CLASS: check_label,
        LabelKind.NUMBER: check_number,
        LabelKind.SETS: check_set,
    }
    return Example(text, checks[labels](values["label"], place), place, pair)


def check_text(value: object, place: str, what: str = "text") -> str:
    """Return a row's text. DataError if it is not a string, or a string that cannot be used."""
    if not isinstance(value, str):
        raise DataError(f"{place}: {what} is {kind(value)}: make it a string")
    check_characters(value, what, place)
    return value


def check_label(value: object, place: str) -> Class:
    """Return a row's class. DataError if it is not a usable string, an integer or a boolean."""
    value = whole(value)
    if not isinstance(value, str | int):
        raise DataError(
            f"{place}: label is {kind(value)}: make it a string, an integer or a boolean"
        )
    if isinstance(value, str):
        check_characters(value, "label", place)
    return value


def whole(value: object) -> object:
    """Return an id that is stored as a float as an integer: a missing one makes floats of a column.

    A decimal of a database, likewise.

    >>> whole(1.0), whole(1.5), whole("1.0"), whole(Decimal("1.00"))
    (1, 1.5, '1.0', 1)
    """
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == int(value) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def check_number(value: object, place: str) -> float:
    """Return a row's number. DataError if it is not one, not finite, or larger than `LARGEST`."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise DataError(f"{place}: label is {kind(value)}: make it a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise DataError(f"{place}: label is {number}: make it a finite number")
    if abs(number) > LARGEST:
        raise DataError(
            f"{place}: label is {number:g}: float32 models predict numbers up to {LARGEST:g}; give "
            "labels in a larger unit"
        )
    return number


def check_set(value: object, place: str) -> tuple[str, ...]:
    """Return a row's set of labels. DataError if it is not a list of usable strings or integers."""
    if not isinstance(value, list):
        raise DataError(f"{place}: label is {kind(value)}: make it a list of strings")
    for number, each in enumerate(value, start=1):
        if isinstance(each, bool) or not isinstance(each, str | int):
            raise DataError(f"{place}: entry {number} of label is {kind(each)}: make it a string")
        if isinstance(each, str):
            check_characters(each, f"entry {number} of label", place)
    return tuple(sorted({str(each) for each in value}))


def check_words(value: object, what: str, place: str) -> tuple[str, ...]:
    """Return a row's words or tags. DataError if it is not a list of usable strings."""
    if not isinstance(value, list):
        raise DataError(f"{place}: {what} is {kind(value)}: make it a list of strings")
    if not value:
        raise DataError(f"{place}: {what} is empty: fill it or remove the row")
    return tuple(
        check_text(each, place, f"entry {number} of {what}")
        for number, each in enumerate(value, start=1)
    )


def check_characters(value: str, what: str, place: str) -> None:
    """Raise DataError if a string is blank, or holds NUL or half of a surrogate pair."""
    if not value.strip():
        raise DataError(f"{place}: {what} is empty: fill it or remove the row")
    if "\0" in value:
        raise DataError(f"{place}: {what} holds a NUL character: remove it")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{place}: character {error.start + 1} of {what} is half of a surrogate pair: "
            "repair the text's encoding"
        ) from None
