"""Texts of others in pages, tables and plots: labels, examples, names, paths."""

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
"""What no page can hold, or turns the direction of what stands after it."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]#|~$!])")


def visible(text: object) -> str:
    """A text whose control characters are replaced by a sign.

    >>> visible(f"a{chr(0)}b") == f"a{chr(0xFFFD)}b"
    True
    """
    return _UNSEEN.sub("\ufffd", str(text))


def cut(text: str, length: int = 300) -> str:
    """The beginning of a text, up to a word's end.

    >>> cut("red and blue", 9)
    'red and …'
    """
    if len(text) <= length:
        return text
    start = text[:length]
    return f"{start.rpartition(' ')[0] or start} …"


def markdown(text: object) -> str:
    r"""A text that Markdown, and HTML in it, shows as it is, in one line.

    >>> print(markdown("a|b <i>*c*"))
    a\|b &lt;i&gt;\*c\*
    """
    line = " ".join(visible(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", line)


def code(text: object) -> str:
    """A text as code in Markdown, in one line: between more backticks than it has in a row.

    >>> print(code("a`b"))
    `` a`b ``
    """
    line = " ".join(visible(text).split())
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    return f"{fence} {line} {fence}" if "`" in line or not line else f"{fence}{line}{fence}"
