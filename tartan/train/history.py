"""The lines of metrics.jsonl, and when each was written, in one file that checkpoints append to.

`checkpoints/history.jsonl` has a line `[record, seconds]` for each line of metrics.jsonl. A
checkpoint appends the new lines and keeps a `Mark`: the length of its part of the file, and a hash.
So a checkpoint of a long run does not write all lines again, and lines that were appended after a
checkpoint are recognised and dropped when the run resumes from it.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tartan.files import open_own, open_regular, writing
from tartan.train.observer import Record

HISTORY = "history.jsonl"


@dataclass(frozen=True)
class Mark:
    """The part of history.jsonl that belongs to a checkpoint.

    Attributes:
        size: its length in bytes, from the start of the file.
        sha256: its hash, in hexadecimal.
    """

    size: int = 0
    sha256: str = hashlib.sha256().hexdigest()


class History:
    """The lines of metrics.jsonl so far.

    Attributes:
        records: the lines.
        seconds: of each line, the time spent on steps when it was written, in seconds.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.seconds: list[float] = []
        self._saved = 0
        self._size, self._sha256 = 0, hashlib.sha256()

    def __iter__(self) -> Iterator[tuple[Record, float]]:
        """Iterate over lines and their times."""
        return iter(zip(self.records, self.seconds, strict=True))

    def add(self, record: Record, seconds: float) -> None:
        """Add a line."""
        self.records.append(record)
        self.seconds.append(seconds)

    def save(self, path: Path) -> Mark:
        """Append the lines that are not in a file yet; what follows them there is dropped.

        Raises:
            StorageError: the file cannot be written. It may then hold part of the new lines, which
                the next call replaces.
        """
        new = list(self)[self._saved :]
        text = "".join(json.dumps(entry, allow_nan=False) + "\n" for entry in new).encode()
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(open_own(path), "ab") as file:
                file.truncate(self._size)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        self._sha256.update(text)
        self._size += len(text)
        self._saved = len(self.records)
        return Mark(self._size, self._sha256.hexdigest())

    @classmethod
    def load(cls, path: Path, mark: Mark) -> "History":
        """Return the part of a file that belongs to a checkpoint.

        Raises:
            ValueError: the file does not hold it.
            OSError: the file cannot be read.
        """
        found = cls()
        content = _beginning(path, mark.size)
        found._sha256.update(content)
        if found._sha256.hexdigest() != mark.sha256:
            raise ValueError(f"{path.name} does not hold what it was written with")
        for line in content.splitlines():
            record, seconds = json.loads(line)
            found.add(record, seconds)
        found._size, found._saved = len(content), len(found.records)
        return found


def _beginning(path: Path, size: int) -> bytes:
    """Return the first bytes of a file; none are needed of a file that is not there."""
    if not size:
        return b""
    with open_regular(path) as file:
        return file.read(size)
