"""Text files line by line: every problem names the file and the line."""

import bz2
import gzip
import io
import lzma
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import IO, BinaryIO, cast

import pyarrow

from tartan.data.encoding import decode, without_mark
from tartan.errors import DataError

MARK = "\ufeff"
"""A byte order mark; joined files have some inside."""
LONGEST = 2**24
"""Bytes of the longest line: what is held in memory at once has to have a bound."""


def _open_zstd(path: Path, _mode: str) -> IO[bytes]:
    """Open a zstd file, which may consist of several frames; the mode is `rb`."""
    return io.BufferedReader(pyarrow.input_stream(str(path), compression="zstd"))


OPENERS: Mapping[str, Callable[..., IO[bytes]]] = {
    ".gz": cast(Callable[..., IO[bytes]], gzip.open),
    ".bz2": cast(Callable[..., IO[bytes]], bz2.open),
    ".xz": cast(Callable[..., IO[bytes]], lzma.open),
    ".zst": _open_zstd,
}
"""How compressed files are opened, by the end of their names."""


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the lines of a UTF-8 file that are not blank, stripped, each with its place.

    The place is `path:line`. A byte order mark before any line, CRLF line ends and a missing final
    line end are accepted. A carriage return inside a line is white space like any other.

    Raises:
        DataError: the file cannot be read, is not UTF-8, holds a NUL byte, a line of more than
            `LONGEST` bytes, lines that end in carriage returns alone, or only blank lines.
    """
    empty = True
    for number, text in raw_lines(path):
        if line := text.removeprefix(MARK).strip():
            empty = False
            yield f"{path}:{number}", line
    if empty:
        raise DataError(f"{path}: the file is empty: fill it or remove it")


def raw_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a UTF-8 file as they are, line ends included, counted from 1.

    A byte order mark before the first line is left out.

    Raises:
        DataError: as `read_lines`, but for a file of blank lines.
    """
    with reading(path) as file:
        # Bytes, split at newlines alone: text mode would also split at a lone carriage return,
        # and could not say in which line the decoding failed.
        for number, raw in enumerate(iter(lambda: file.readline(LONGEST + 1), b""), start=1):
            place = f"{path}:{number}"
            if len(raw) > LONGEST:
                raise DataError(f"{place}: the line has more than {LONGEST} bytes: break it up")
            if number == 1 and b"\n" not in raw and b"\r" in raw.strip():
                raise DataError(
                    f"{place}: the file's lines end in carriage returns alone: save it with "
                    "line feeds"
                )
            first = number == 1
            yield number, decode(without_mark(raw) if first else raw, place, first)


def has_mark(path: Path) -> bool:
    """Return whether a file begins with the UTF-8 byte order mark. DataError as `reading`."""
    with reading(path) as file:
        return file.read(len(BOM_UTF8)) == BOM_UTF8


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """Open a file for a block, decompressed by its suffix. DataError where it cannot be read."""
    try:
        # Anything but a file, a named pipe say, could block for ever.
        if not (S_ISREG(mode := path.stat().st_mode) or S_ISDIR(mode)):
            raise DataError(f"{path}: not a regular file: put a file in its place")
        with OPENERS.get(path.suffix.lower(), open)(path, "rb") as file:
            yield cast(BinaryIO, file)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file: check the path") from None
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason}): check the file") from None


def expand(name: str) -> Path:
    """Return a path as a user writes it: `~` is home, where it is known whose."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def read_passages(path: Path) -> Iterator[str]:
    """Yield the passages of a text file, one a line. Raises as `read_lines` does."""
    return (line for _, line in read_lines(path))
