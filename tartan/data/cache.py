"""Rows that took time to make, on disk, to be found again by what they were made from.

An entry is a directory of the cache, named by a hash: `rows.arrow`, and `entry.json` with the
hash of that file and what else is to be known of the rows. It is written beside its place and
renamed, so that an entry is whole or not there, whatever ends a process and however many write it
at once. Entries are never needed: any of them may be removed at any time.
"""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import datasets
from datasets import Dataset, Features

from tartan.data.arrow import Columns, cache_directory, spool, write, writing

ROWS, ENTRY = "rows.arrow", "entry.json"
ABANDONED = 24 * 60 * 60
"""Seconds after which nobody is still writing an entry."""

Counts = Mapping[str, int]
"""What is to be known of rows beside themselves."""
Made = tuple[Iterable[Columns], Features, Callable[[], Counts]]
"""Rows, batch by batch; their types; and what to call for their counts once they have gone by."""


@dataclass(frozen=True)
class Entry:
    """Rows from the cache, or made anew.

    Attributes:
        rows: memory-mapped.
        counts: what was counted while they were made.
        damaged: the place in the cache where they were found damaged, and are made anew.
    """

    rows: Dataset
    counts: Counts
    damaged: Path | None = None


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
    """The rows of a key: from the cache if they are there and whole, made and put there if not.

    Args:
        key: a hash of all that the rows depend on.
        make: makes them.

    Raises:
        DataError: the cache cannot be written.
    """
    if not datasets.is_caching_enabled():
        batches, features, counts = make()
        rows = spool(batches, features)
        return Entry(rows, counts())
    place = cache_directory() / key
    with writing(place.parent):
        found = load(place)
        if found:
            return found
        damaged = place if place.exists() else None
        place.parent.mkdir(parents=True, exist_ok=True)
        sweep(place.parent)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".partial-") as scratch:
            save(Path(scratch, "new"), *make())
            if damaged:
                with suppress(FileNotFoundError):  # another process was as quick
                    place.rename(Path(scratch, "damaged"))
            with suppress(OSError):  # another process has put the same rows there
                Path(scratch, "new").rename(place)
        made = load(place)
    assert made
    return Entry(made.rows, made.counts, damaged)


def sweep(directory: Path) -> None:
    """Remove what processes that were killed left half-written; not what others may be writing."""
    for left in directory.glob(".*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def save(
    place: Path, batches: Iterable[Columns], features: Features, counts: Callable[[], Counts]
) -> None:
    """Write an entry into a directory of its own."""
    place.mkdir()
    write(place / ROWS, batches, features)
    entry = {"sha256": file_hash(place / ROWS), "counts": counts()}
    (place / ENTRY).write_text(json.dumps(entry), encoding="utf-8")


def load(place: Path) -> Entry | None:
    """The entry of a directory; None where there is none, or one that is not what was written."""
    try:
        entry = json.loads((place / ENTRY).read_text(encoding="utf-8"))
        if entry["sha256"] != file_hash(place / ROWS):
            return None
        return Entry(Dataset.from_file(str(place / ROWS)), entry["counts"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def file_hash(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key_of(rows: Iterable[Columns], *more: str) -> str:
    """A hash, in hexadecimal, of rows and whatever else is made of them depends on."""
    sha256 = hashlib.sha256(json.dumps(more).encode())
    for batch in rows:
        sha256.update(json.dumps(dict(batch)).encode())
    return sha256.hexdigest()
