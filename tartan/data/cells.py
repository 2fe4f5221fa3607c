"""Labels in cells of CSV: strings, of which some are numbers and some mean "missing"."""

import math
import re

from tartan.errors import DataError, shown

MISSING_WORDS = frozenset(
    {
        "#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan", "<na>",
        "n/a", "na", "nan", "none", "null",
    }
)  # fmt: skip
"""What programs write where a value is missing, in lower case. They are class names as well."""


NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


REMEDY = "the cell reads as missing: fill it or remove the row"


class MissingLabelError(DataError):
    """A row without a label.

    Attributes:
        place: where it was read.
        what: how the label is missing.
    """

    def __init__(self, place: str, what: str, remedy: str = REMEDY) -> None:
        super().__init__(f"{place}: {what}: {remedy}")
        self.place, self.what = place, what


def is_missing(label: object, words: bool, declared: bool = False) -> bool:
    """Return whether a row has no label.

    Args:
        label: what its column holds; None where the row has no such field.
        words: whether words such as "NA" mean that there is none: labels are numbers in cells.
        declared: whether labels are ids of declared classes; -1 then means that there is none.

    >>> [is_missing(value, words=False) for value in (None, " ", "NA", "warm")]
    [True, True, False, False]
    """
    if isinstance(label, str):
        return reads_as_missing(label) if words else not label.strip()
    if isinstance(label, float) and math.isnan(label):
        return True
    return label is None or (declared and label == -1)


def is_number(text: str) -> bool:
    """Return whether a text is a number in ASCII digits, with a point.

    >>> is_number("-1.5e3"), is_number("007"), is_number("1,5"), is_number("nan")
    (True, True, False, False)
    """
    return NUMBER.fullmatch(text) is not None


def reads_as_missing(text: str) -> bool:
    """Return whether a text is what programs write where a value is missing.

    >>> reads_as_missing(" NaN "), reads_as_missing(""), reads_as_missing("Nation")
    (True, True, False)
    """
    return not text.strip() or text.strip().lower() in MISSING_WORDS


def to_number(cell: str, place: str) -> float:
    """Return the number that a cell holds.

    Raises:
        DataError: it is missing, or not a finite number in digits, with a point.

    >>> to_number("-1.5e3", "x.csv:2")
    -1500.0
    """
    text = cell.strip()
    check_cell(text, place)
    if text.lower() in MISSING_WORDS:
        raise MissingLabelError(place, f"label is '{text}'")
    number = float(text) if is_number(text) else math.nan
    if not math.isfinite(number):
        raise DataError(
            f"{place}: label is '{shown(text)}': make it a finite number, written like -1234.5"
        )
    return number


def check_cell(cell: str, place: str) -> None:
    """MissingLabelError if a label's cell is empty."""
    if not cell.strip():
        raise MissingLabelError(place, "label is empty")


class MissingAmongNumbers:
    """Finds a word such as "NA" among class ids, where it means that a label is missing.

    Where classes have other names, "NA" is one of them: North America, say.
    """

    def __init__(self) -> None:
        self._first: tuple[str, str] | None = None
        self._numbers: bool | None = None

    def see(self, label: str, place: str) -> None:
        """Take note of one row's label, which is not blank."""
        if label.strip().lower() in MISSING_WORDS:
            self._first = self._first or (label, place)
        else:
            self._numbers = self._numbers is not False and is_number(label.strip())

    @property
    def found(self) -> bool:
        """Whether there was such a word, and every other label was a number."""
        return self._first is not None and self._numbers is True

    def check(self) -> None:
        """MissingLabelError if such a word was found; to be called after the last row."""
        if self._first and self.found:
            label, place = self._first
            raise MissingLabelError(
                place,
                f"label is '{label}' and the others are numbers",
                f"{REMEDY}, or give the class another name",
            )
