"""Counts and amounts of memory as messages and pages show them."""

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def counted(count: float, noun: str, plural: str = "") -> str:
    """Return a count and its noun; the plural is the noun with an s unless it is given.

    >>> counted(1, "pass", "passes"), counted(2.25, "copy", "copies"), counted(3, "seed")
    ('1 pass', '2.25 copies', '3 seeds')
    """
    return f"{_plain(count)} {noun if count == 1 else plural or noun + 's'}"


def amount(count: float) -> str:
    """Return a number of bytes in the largest unit that leaves at least one.

    >>> amount(3 << 29), amount(834_000_000), amount(12)
    ('1.5 GiB', '795.4 MiB', '12 bytes')
    """
    size, unit = float(count), UNITS[0]
    for unit in UNITS:
        if size < 1024 or unit == UNITS[-1]:
            break
        size /= 1024
    return f"{size:.4g} {unit}"


def _plain(count: float) -> str:
    """Return a number with at most two decimal places, none where it is integral."""
    rounded = round(count, 2)
    return str(int(rounded) if rounded == int(rounded) else rounded)
