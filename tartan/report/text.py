"""Texts from data in pages, tables and plots: labels, examples, names, paths."""

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
"""Characters that a page cannot hold, or that change the direction of the text after them."""
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
"""How a text begins that a spreadsheet takes for a formula."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]#|~$!])")


def visible(text: object) -> str:
    """Return a text with its control characters replaced by a sign.

    >>> visible(f"a{chr(0)}b") == f"a{chr(0xFFFD)}b"
    True
    """
    return _UNSEEN.sub("\ufffd", str(text))


def cut(text: str, length: int = 300) -> str:
    """Return the beginning of a text, up to the end of a word.

    >>> cut("red and blue", 9)
    'red and …'
    """
    if len(text) <= length:
        return text
    start = text[:length]
    return f"{start.rpartition(' ')[0] or start} …"


def markdown(text: object) -> str:
    r"""Return a text that Markdown, and HTML in it, shows unchanged, in one line.

    >>> print(markdown("a|b <i>*c*"))
    a\|b &lt;i&gt;\*c\*
    """
    line = " ".join(visible(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", line)


def code(text: object) -> str:
    """Return a text as code in Markdown, in one line: between more backticks than it has in a row.

    >>> print(code("a`b"))
    `` a`b ``
    """
    line = " ".join(visible(text).split())
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    return f"{fence} {line} {fence}" if "`" in line or not line else f"{fence}{line}{fence}"


def cell(value: object) -> str:
    """Return a value as a field of a CSV file.

    A text that a spreadsheet would take for a formula gets an apostrophe before it, and every text
    with a separator or quote stands in quotes, as OWASP says ("CSV Injection"). Numbers, and texts
    that are numbers, stay as they are.

    >>> cell("=1+1"), cell("a;b"), cell("-1.5"), cell(-1.5), cell(None)
    ("'=1+1", '"a;b"', '-1.5', '-1.5', '')
    """
    if value is None:
        return ""
    text = str(value)
    if isinstance(value, str) and not _NUMBER.fullmatch(text) and _FORMULA.match(text):
        text = f"'{text}"
    text = visible(text)
    if re.search(r"[,;|\t\r\n\"]|^\s|\s$", text):
        return '"' + text.replace('"', '""') + '"'
    return text
