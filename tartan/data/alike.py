"""Find labels that look alike: they are separate classes, and often were meant to be one."""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

from tartan.data.cells import is_number

_DASHES = re.compile("[\u2010-\u2015\u2212]")
_SINGLE = re.compile("[\u2018\u2019\u02bc]")
_DOUBLE = re.compile("[\u201c\u201d]")
_CYRILLIC = (
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0456\u0458\u0455"
)
_GREEK = "\u03b1\u03b2\u03b5\u03b6\u03b7\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7"
_LATIN = str.maketrans(_CYRILLIC + _GREEK, "abekmhopctyxijs" + "abezhikmnoptyx")
"""Letters, in lower case, that look like Latin ones in lower or upper case."""


def groups_alike(labels: Iterable[str]) -> list[Sequence[str]]:
    """Return the groups of two or more labels that look alike, in the order of the labels.

    >>> groups_alike(["Uses", "Uses ", "uses", "Extends", "1", "1.0", "01"])
    [['Uses', 'Uses ', 'uses'], ['1', '1.0', '01']]
    """
    found: dict[str, list[str]] = {}
    for label in labels:
        found.setdefault(appearance(label), []).append(label)
    return [group for group in found.values() if len(group) > 1]


def appearance(label: str) -> str:
    """Return what labels that look alike have in common.

    Spaces, invisible characters, case, composition of accents, kinds of dashes and quotes, letters
    of Cyrillic and Greek that look like Latin ones, and ways to write a number make no difference.
    """
    text = unicodedata.normalize("NFKC", label).casefold()
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc") or c.isspace())
    text = "".join(unicodedata.normalize("NFKC", text).split())
    text = _DOUBLE.sub('"', _SINGLE.sub("'", _DASHES.sub("-", text)))
    text = text.translate(_LATIN)
    number = float(text) if is_number(text) else math.inf
    return f"{number:.17g}" if math.isfinite(number) else text
