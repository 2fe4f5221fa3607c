"""Spell out what cannot be seen of a text: spaces at its ends, invisible and combining marks."""

import re
import unicodedata

_SPACES = re.compile(r"^ +| +$|(?<= ) +")
"""Spaces that a reader does not see: at an end, or after another."""


def spelled(text: str) -> str:
    r"""Return a text with everything that is hard to see as an escape.

    Two different texts can look the same because one has a space at its end, another kind of space,
    a character without width, or an accent as a character of its own.

    >>> print(spelled("Uses"), spelled("Uses "), spelled("caf\u0065\u0301"), spelled("café"))
    Uses Uses\x20 cafe\u0301 café
    """
    shown = _SPACES.sub(lambda spaces: r"\x20" * len(spaces[0]), text)
    composed = unicodedata.is_normalized("NFC", text)
    return "".join(ascii(c)[1:-1] if _is_hidden(c, composed) else c for c in shown)


def _is_hidden(character: str, composed: bool) -> bool:
    """Return whether a character is invisible, or an accent that should be part of a letter."""
    if not character.isprintable():
        return True
    if unicodedata.category(character) in ("Cf", "Zs") and character != " ":
        return True
    return not composed and (
        unicodedata.combining(character) > 0 or unicodedata.normalize("NFC", character) != character
    )
