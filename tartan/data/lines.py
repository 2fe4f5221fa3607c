"""Text files line by line: every problem names the file and the line."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO

from tartan.errors import DataError

LONGEST = 2**24
"""Bytes of the longest line: what is held in memory at once has to have a bound."""


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a UTF-8 file that are not blank, stripped, each with its place `path:line`.

    A byte order mark before any line, CRLF line ends and a missing final line end are accepted. A
    carriage return inside a line is white space as any other.

    Raises:
        DataError: the file cannot be read, is not UTF-8, holds a NUL byte, a line of more than
            `LONGEST` bytes, lines that end in carriage returns alone, or only blank lines.
    """
    empty = True
    try:
        # Anything but a file, a named pipe say, could keep us waiting for ever.
        if not (S_ISREG(mode := path.stat().st_mode) or S_ISDIR(mode)):
            raise DataError(f"{path}: it is no file: put a file in its place")
        with path.open("rb") as file:
            for number, raw in enumerate(_lines(file), start=1):
                place = f"{path}:{number}"
                if number == 1 and b"\n" not in raw and b"\r" in raw.strip():
                    raise DataError(
                        f"{place}: the file's lines end in carriage returns alone: save it with "
                        "line feeds"
                    )
                line = _decode(raw.removeprefix(BOM_UTF8), place).strip()
                if line:
                    empty = False
                    yield place, line
    except FileNotFoundError:
        raise DataError(f"{path}: no such file: check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", error)
        raise DataError(f"{path}: cannot be read ({reason}): check the file") from None
    if empty:
        raise DataError(f"{path}: the file is empty: fill it or remove it")


def expand(name: str) -> Path:
    """A path as a user writes it: `~` is home, where it can be told whose."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def read_passages(path: Path) -> Iterator[str]:
    """The passages of a text file, one a line. Raises as `read_lines` does."""
    return (line for _, line in read_lines(path))


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """A file's lines, of which those that are too long come no further than the bound."""
    # Bytes, split at newlines alone: text mode would also split at a lone carriage return,
    # and could not say in which line the decoding failed.
    return iter(lambda: file.readline(LONGEST + 1), b"")


def _decode(raw: bytes, place: str) -> str:
    if len(raw) > LONGEST:
        raise DataError(f"{place}: the line has more than {LONGEST} bytes: break it up")
    if b"\0" in raw:
        raise DataError(f"{place}: the line holds a NUL byte: save the file as UTF-8 text")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{place}: byte {error.start + 1} of the line is not UTF-8: save the file as UTF-8 text"
        ) from None
