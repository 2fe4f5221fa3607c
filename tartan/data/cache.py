"""Rows that took time to make, on disk, found again by what they were made from.

An entry is a directory of the cache, named by a hash: `rows.arrow`, and `entry.json` with the
hash of that file and counts. It is written in a scratch directory and renamed, so that an entry is
complete or not there, whatever ends a process and however many write it at once. Entries are never
needed: any of them may be removed at any time, and a cache that cannot be used is passed by.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import datasets
from datasets import Dataset, Features

from tartan.data.arrow import Columns, cache_directory, spool, write
from tartan.data.scratch import scratch, sweep
from tartan.files import read_text, sha256

ROWS, ENTRY = "rows.arrow", "entry.json"
FORMER = (".partial-*", ".rows-*")
"""Names that version 0.1 gave to unfinished files in the cache, without a lock."""

Counts = Mapping[str, int]
"""What was counted while rows were made."""
Made = tuple[Iterable[Columns], Features, Callable[[], Counts]]
"""Rows, batch by batch; their types; and what to call for their counts after the last."""


@dataclass(frozen=True)
class Entry:
    """Rows from the cache, or made again.

    Attributes:
        rows: memory-mapped.
        counts: what was counted while they were made.
        notice: what the user should know of the cache; None where it did its work.
    """

    rows: Dataset
    counts: Counts
    notice: str | None = None


@contextmanager
def caching(enabled: bool) -> Iterator[None]:
    """Run a block with the caches of `datasets` and tartan off, unless they are enabled."""
    before = datasets.is_caching_enabled()
    if not enabled:
        datasets.disable_caching()
    try:
        yield
    finally:
        if before:
            datasets.enable_caching()


def cached(key: str, make: Callable[[], Made]) -> Entry:
    """Return the rows of a key: from the cache if they are there, made and put there if not.

    Where the cache cannot be read or written (it may be another user's), rows are made for this
    process alone, and the entry's notice says so.

    Args:
        key: a hash of all that the rows depend on.
        make: makes them.

    Raises:
        DataError: they cannot be written anywhere.
    """
    if not datasets.is_caching_enabled():
        return _uncached(make, None)
    place = cache_directory() / key
    try:
        return _load(place) or _renew(place, make)
    except OSError as error:
        return _uncached(
            make,
            f"The cache {place.parent} cannot be used ({error.strerror or error}). Rows are "
            "tokenised without it; set HF_DATASETS_CACHE to a directory of your own, or "
            "cache=false.",
        )


def remove_abandoned() -> list[str]:
    """Remove what runs that were killed left unfinished; return a notice for each directory."""
    removed = {
        cache_directory(): sweep(cache_directory(), *FORMER),
        Path(tempfile.gettempdir()): sweep(Path(tempfile.gettempdir())),
    }
    return [
        f"Removed {count} unfinished file{'s' if count > 1 else ''} of runs that were killed, in "
        f"{place}."
        for place, count in removed.items()
        if count
    ]


def _uncached(make: Callable[[], Made], notice: str | None) -> Entry:
    """Return rows that are made for this process alone."""
    batches, features, counts = make()
    rows = spool(batches, features)
    return Entry(rows, counts(), notice)


def _renew(place: Path, make: Callable[[], Made]) -> Entry:
    """Make an entry and put it in its place. OSError where that cannot be."""
    damaged = place.exists()
    place.parent.mkdir(parents=True, exist_ok=True)
    with scratch(place.parent) as directory:
        new = directory / "new"
        _save(new, *make())
        if damaged:
            with suppress(FileNotFoundError):  # another process was as quick
                place.rename(directory / "damaged")
        try:
            new.rename(place)
        except OSError:
            if not place.exists():
                raise
            # Another process has put the same rows there.
    made = _load(place)
    if made is None:
        raise OSError(f"{place} is damaged again")
    notice = f"{place} was damaged and was made again." if damaged else None
    return Entry(made.rows, made.counts, notice)


def _save(
    place: Path, batches: Iterable[Columns], features: Features, counts: Callable[[], Counts]
) -> None:
    """Write an entry into a directory of its own."""
    place.mkdir()
    with (place / ROWS).open("wb", buffering=0) as file:
        write(file, batches, features)
    entry = {"sha256": sha256(place / ROWS), "counts": counts()}
    (place / ENTRY).write_text(json.dumps(entry), encoding="utf-8")


def _load(place: Path) -> Entry | None:
    """Return the entry of a directory; None where there is none, or a damaged one."""
    try:
        entry = json.loads(read_text(place / ENTRY))
        if entry["sha256"] != sha256(place / ROWS):
            return None
        return Entry(Dataset.from_file(str(place / ROWS)), entry["counts"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def key_of(rows: Iterable[Columns], *more: str) -> str:
    """Return a hash, in hexadecimal, of rows and whatever else is made of them depends on."""
    found = hashlib.sha256(json.dumps(more).encode())
    for batch in rows:
        found.update(json.dumps(dict(batch)).encode())
    return found.hexdigest()
