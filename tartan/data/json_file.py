"""JSON files: one object a line, or one list of objects."""

import json
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tartan.data.encoding import SAVE, check_kind, undecodable, without_mark
from tartan.data.lines import LONGEST, read_lines, reading
from tartan.data.rows import kind
from tartan.errors import DataError

PIECE = 2**13
"""Bytes of a list that are read at once."""
BLANK = " \t\r\n"
"""White space between the elements of a list."""


class Fields(dict[str, Any]):
    """A JSON object.

    Attributes:
        twice: a name that occurs more than once in it, if there is one.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs) if len(self) < len(pairs) else {}
        self.twice = next((name for name, count in counts.items() if count > 1), None)


def read_json(path: Path) -> Iterator[tuple[str, Fields]]:
    """Yield the rows of a file of JSON lines, or of one JSON list, each with its place.

    Raises:
        DataError: the file cannot be read, or holds anything else than objects; names the line.
    """
    with reading(path) as file:
        beginning = without_mark(file.read(PIECE)).lstrip()
    if beginning.startswith(b"["):
        yield from read_list(path)
    else:
        for place, line in read_lines(path):
            yield place, parse(line, place)


def parse(line: str, place: str) -> Fields:
    """Return one line's JSON object. DataError if the line is anything else."""
    try:
        row = json.loads(line, object_pairs_hook=Fields)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{place}: not JSON at column {error.colno} ({error.msg}): "
            "write one JSON object on each line"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: JSON that cannot be read ({error}): simplify the row") from None
    return check_object(row, place, f"the line is {kind(row)}: write one JSON object on each line")


def check_object(row: object, place: str, otherwise: str) -> Fields:
    """Return a row if it is an object of fields that occur once; DataError otherwise."""
    if not isinstance(row, Fields):
        raise DataError(f"{place}: {otherwise}")
    if row.twice is not None:
        raise DataError(f"{place}: the row has the field '{row.twice}' twice: leave one")
    return row


def read_list(path: Path) -> Iterator[tuple[str, Fields]]:
    """Yield the objects of a JSON list, of which one at a time is in memory, with their places.

    Raises:
        DataError: as `read_json`, the list is empty, or an object has more than `LONGEST`
            characters.
    """
    text = _Buffer(path)
    text.skip("[")
    if text.peek() == "]":
        raise DataError(f"{path}: the file is empty: fill it or remove it")
    while True:
        yield _element(text)
        if text.peek() != ",":
            break
        text.skip(",")
    text.skip("]")
    if text.peek():
        raise DataError(f"{text.place}: there is more after the end of the list: remove it")


class _Buffer:
    """The part of a file that is being parsed.

    Attributes:
        text: characters that were read and not used yet.
        line: the line, counted from 1, at which they begin.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.text, self.line = path, "", 1
        self._pieces = _pieces(path)

    @property
    def place(self) -> str:
        """Where the buffer begins."""
        return f"{self.path}:{self.line}"

    def more(self, characters: int) -> bool:
        """Read about that many more characters; False at the end of the file."""
        before = len(self.text)
        parts = [self.text]
        while characters > 0 and (piece := next(self._pieces, "")):
            parts.append(piece)
            characters -= len(piece)
        self.text = "".join(parts)
        return len(self.text) > before

    def drop(self, characters: int) -> None:
        """Forget what has been used."""
        self.line += self.text.count("\n", 0, characters)
        self.text = self.text[characters:]

    def peek(self) -> str:
        """Return the next character that is not white space; none at the end."""
        while True:
            self.drop(len(self.text) - len(self.text.lstrip(BLANK)))
            if self.text or not self.more(1):
                return self.text[:1]

    def skip(self, character: str) -> None:
        """Use up one character. DataError if another stands there."""
        if (found := self.peek()) != character:
            where = f"before '{found}'" if found else "before the end of the file"
            raise DataError(
                f"{self.place}: not JSON: '{character}' is missing {where}: write a list of objects"
            )
        self.drop(1)


def _element(buffer: _Buffer) -> tuple[str, Fields]:
    """Use up one object of a list."""
    found, place = buffer.peek(), buffer.place
    if found != "{":
        raise DataError(f"{place}: an entry of the list is not an object: write a list of objects")
    decoder = json.JSONDecoder(object_pairs_hook=Fields)
    while True:
        try:
            row, end = decoder.raw_decode(buffer.text)
            break
        except json.JSONDecodeError as error:
            # It may be cut off by the end of the buffer. Twice as much each time: linear in all.
            if len(buffer.text) > LONGEST or not buffer.more(len(buffer.text)):
                line = buffer.line + buffer.text.count("\n", 0, error.pos)
                raise DataError(
                    f"{buffer.path}:{line}: not JSON at column {error.colno} ({error.msg}): "
                    "repair the object"
                ) from None
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{place}: JSON that cannot be read ({error}): simplify the row"
            ) from None
    buffer.drop(end)
    return place, check_object(row, place, "an entry of the list is not an object")


def _pieces(path: Path) -> Iterator[str]:
    """Yield the text of a file, piece by piece. DataError where it is not UTF-8."""
    decoder = getincrementaldecoder("utf-8")()
    line, first = 1, True
    with reading(path) as file:
        while raw := file.readline(PIECE):
            if first:
                check_kind(raw, f"{path}:1")
                raw, first = without_mark(raw), False
            yield _decoded(decoder, raw, f"{path}:{line}")
            line += raw.endswith(b"\n")
        _decoded(decoder, b"", f"{path}:{line}", final=True)


def _decoded(decoder: Any, raw: bytes, place: str, final: bool = False) -> str:
    """Decode the next bytes of a line."""
    if b"\0" in raw:
        raise DataError(f"{place}: the line holds a NUL byte, it is not UTF-8 text: {SAVE}")
    try:
        return str(decoder.decode(raw, final))
    except UnicodeDecodeError as error:
        raise DataError(f"{place}: a byte {undecodable(error.object, error)}: {SAVE}") from None
