"""Rows of a file that is evaluated on which the run was trained, or chose its best step."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tartan.data.rows import Example
from tartan.data.splits import content
from tartan.report.record import SPLITS, read_json, reading
from tartan.sizes import counted

USES = {"train": "was trained on", "dev": "chose its best step on"}
"""What a run does with the rows of a split, where scores on them are too high."""


class SeenRows:
    """Compares the content of a file with that of a run's splits, while the file is read.

    The file is known where it is the one that the run divided, or that of one split, unchanged: the
    run recorded hashes of its splits, and the numbers of the rows of those that it made.
    """

    def __init__(self, directory: Path, summary: Mapping[str, Any]) -> None:
        """Read which rows the run's splits have.

        Args:
            directory: the run's.
            summary: the content of its summary.json.

        Raises:
            CheckpointError: splits.json is damaged.
        """
        record = read_json(directory / SPLITS) or {}
        recorded = summary.get("data", {})
        with reading(directory / SPLITS):
            divided = record.get("rows", {})
            self._splits = {row: split for split in USES for row in divided.get(split, ())}
        self._recorded = {split: recorded.get(split, {}) for split in USES}
        self._parts = {split: hashlib.sha256() for split in USES if split in divided}
        self._whole = hashlib.sha256()
        self._rows = 0

    def read(self, numbered: Iterable[tuple[int, Example]]) -> Iterator[Example]:
        """Yield the rows of the file, given with their numbers."""
        for number, example in numbered:
            row = content(example)
            self._whole.update(row)
            if (split := self._splits.get(number)) is not None:
                self._parts[split].update(row)
            self._rows += 1
            yield example

    def notices(self, name: str) -> list[str]:
        """Return what the run did with rows of the file, in one sentence; none if they are new.

        Args:
            name: the file's.
        """
        used = " and ".join(
            f"{USES[split]} {recorded['rows']}"
            for split, recorded in self._recorded.items()
            if self._parts.get(split, self._whole).hexdigest() == recorded.get("sha256")
        )
        if not used:
            return []
        rows = counted(self._rows, "row")
        return [f"Of the {rows} of {name}, the run {used}: scores on new rows may be lower."]
