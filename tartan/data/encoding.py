"""Decode lines of a file as UTF-8; the error line of anything else names the likely encoding."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE

from tartan.errors import DataError

MARKS = (
    (BOM_UTF32_LE, "UTF-32"),  # before UTF-16, whose mark it begins with
    (BOM_UTF32_BE, "UTF-32"),
    (BOM_UTF16_LE, "UTF-16"),
    (BOM_UTF16_BE, "UTF-16"),
)
SIGNATURES = (
    (b"PK\x03\x04", "a zip archive (or a spreadsheet)"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"BZh", "compressed by bzip2"),
    (b"\xfd7zXZ\0", "compressed by xz"),
    (b"(\xb5/\xfd", "compressed by zstd"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1\0", "an Arrow file"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"%PDF-", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
)
"""First bytes of files that are often renamed to .csv or .json, and what they are."""

SAVE = "save the file as UTF-8 text"


def decode(raw: bytes, place: str, first: bool = False) -> str:
    """Return a line as text.

    Args:
        raw: the line's bytes.
        place: the line's place, `file:line`.
        first: True for a file's first line, which shows what kind of file it is.

    Raises:
        DataError: the line is not UTF-8, or holds a NUL byte.
    """
    if first:
        check_kind(raw, place)
    if b"\0" in raw:
        few = raw.count(b"\0") * 4 < len(raw)
        kind = "" if few else " (UTF-16 or UTF-32 without a byte order mark)"
        raise DataError(f"{place}: the line holds a NUL byte, it is not UTF-8 text{kind}: {SAVE}")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{place}: byte {error.start + 1} of the line {undecodable(raw, error)}: {SAVE}"
        ) from None


def check_kind(raw: bytes, place: str) -> None:
    """Raise DataError if a file begins as another encoding, or another kind of file, does."""
    for mark, name in MARKS:
        if raw.startswith(mark):
            raise DataError(f"{place}: the file is {name}, not UTF-8: {SAVE}")
    for signature, kind in SIGNATURES:
        if raw.startswith(signature):
            raise DataError(f"{place}: the file is {kind}, not UTF-8 text: put a text file there")


def undecodable(raw: bytes, error: UnicodeDecodeError) -> str:
    """Return what is wrong with a byte: what it stands for in the most common other encoding.

    >>> try: "Café au lait".encode("cp1252").decode()
    ... except UnicodeDecodeError as error: undecodable(error.object, error)
    "(0xe9, 'é' in Windows-1252) is not UTF-8"
    """
    byte = raw[error.start]
    if error.reason == "unexpected end of data":
        return f"(0x{byte:02x}) begins a character that is cut off, which is not UTF-8"
    try:
        guess = f", {bytes([byte]).decode('cp1252')!r} in Windows-1252"
    except UnicodeDecodeError:
        guess = ""
    return f"(0x{byte:02x}{guess}) is not UTF-8"


def without_mark(raw: bytes) -> bytes:
    """Return a line without the UTF-8 byte order mark before it."""
    return raw.removeprefix(BOM_UTF8)
