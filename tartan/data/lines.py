"""Text files line by line: every problem names the file and the line."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path

from tartan.errors import DataError


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a UTF-8 file that are not blank, stripped, each with its place `path:line`.

    A byte order mark, CRLF line ends and a missing final line end are accepted.

    Raises:
        DataError: the file cannot be read, is not UTF-8, holds a NUL byte, or only blank lines.
    """
    empty = True
    # Bytes, split at newlines alone: text mode would also split at a lone carriage return,
    # and could not say in which line the decoding failed.
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                place = f"{path}:{number}"
                line = _decode(raw.removeprefix(BOM_UTF8) if number == 1 else raw, place).strip()
                if line:
                    empty = False
                    yield place, line
    except FileNotFoundError:
        raise DataError(f"{path}: no such file: check the path") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}): check the file") from None
    if empty:
        raise DataError(f"{path}: the file is empty: fill it or remove it")


def read_passages(path: Path) -> Iterator[str]:
    """The passages of a text file, one a line. Raises as `read_lines` does."""
    return (line for _, line in read_lines(path))


def _decode(raw: bytes, place: str) -> str:
    if b"\0" in raw:
        raise DataError(f"{place}: the line holds a NUL byte: save the file as UTF-8 text")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{place}: byte {error.start + 1} of the line is not UTF-8: save the file as UTF-8 text"
        ) from None
