"""Raw rows: what a source reads, and the checks that every source shares."""

from typing import NamedTuple

from tartan.errors import DataError

Label = str | int | bool
"""A label as the source writes it; a task uses one of these types throughout."""


class Example(NamedTuple):
    """One labelled row as it was read.

    Attributes:
        text: what is classified; never empty.
        label: its class.
        place: where it stands, for error lines: `train.jsonl:12`, say.
    """

    text: str
    label: Label
    place: str


KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "a list",
    dict: "an object",
}


def kind(value: object) -> str:
    """What a value is, in the words of an error line.

    >>> kind(None), kind([])
    ('null', 'a list')
    """
    return KINDS.get(type(value), type(value).__name__)


def check_text(value: object, place: str) -> str:
    """A row's text. DataError if it is no string, or one that cannot be used."""
    if not isinstance(value, str):
        raise DataError(f"{place}: text is {kind(value)}: make it a string")
    check_characters(value, "text", place)
    return value


def check_label(value: object, place: str) -> Label:
    """A row's label. DataError if it is no string, integer or boolean, or an unusable string."""
    if not isinstance(value, str | int):
        raise DataError(
            f"{place}: label is {kind(value)}: make it a string, an integer or a boolean"
        )
    if isinstance(value, str):
        check_characters(value, "label", place)
    return value


def check_characters(value: str, what: str, place: str) -> None:
    """DataError if a string is blank, or holds characters that text has no use for."""
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
