"""The labelled splits of a task, read row by row: checked, hashed, written to disk.

Only digests of the rows stay in memory: 16 bytes for each text of dev and test, and for each row
of train.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from datasets import Dataset, Features, List, Value

from tartan.batch import LabelKind
from tartan.data.arrow import Columns, batches_of, in_batches, spool
from tartan.data.digests import Conflicts, digest, row_digest
from tartan.data.labels import (
    as_in_train,
    check_known,
    check_label_type,
    classes,
    label_name,
    label_names,
    label_value,
)
from tartan.data.rows import LISTS, Class, Example
from tartan.errors import DataError

Encode = Callable[[Example], int | float | list[int]]
"""From a row to its label as it is stored."""


@dataclass(frozen=True)
class Split:
    """One split as it was read.

    Attributes:
        rows: as `Task.train` has them.
        sha256: of their content, in hexadecimal; it changes with any field and with the order.
        doubtful: of train, the number of rows with the texts of another row and another label; of
            dev or test, the number of rows whose texts are in the held-out split read before.
    """

    rows: Dataset
    sha256: str
    doubtful: int


class SplitReader:
    """Reads the splits of a task, train first: the labels of others are checked against it.

    Attributes:
        labels: the classes or tags of train; a label's id is its position.
        held_out: digests of the texts of dev and test.
        held_out_rows: digests of their rows, both texts of a pair together.
    """

    def __init__(self, name: str, kind: LabelKind, order: Sequence[str] | None) -> None:
        """Start with a task's name, kind of labels and declared order of labels, if any."""
        self._name, self._kind, self._order = name, kind, order
        self._first: Example | None = None
        self.labels: tuple[str, ...] = ()
        self.held_out: set[bytes] = set()
        self.held_out_rows: set[bytes] = set()

    def train(self, rows: Iterable[Example]) -> Split:
        """Read the training rows. DataError if one of them, or their labels, cannot be used."""
        codes: dict[Class, int] = {}
        numbers: set[float] = set()  # two at most
        conflicts = Conflicts()

        def encode(example: Example) -> int | float | list[int]:
            conflicts.add(example.texts, example.label)
            if isinstance(example.label, float):
                if len(numbers) < 2:
                    numbers.add(example.label)
                return example.label
            ids = [codes.setdefault(label, len(codes)) for label in classes(example)]
            return ids if self._kind in LISTS else ids[0]

        written, sha256 = self._write("train", rows, encode)
        if len(numbers) == 1:
            raise DataError(
                f"{self._name}: train has the one number {numbers.pop():g}: give it at least two"
            )
        self.labels = label_names(self._name, self._kind, codes, self._order)
        # Ids follow the names' order, which was not known before the last row.
        positions = {label: position for position, label in enumerate(self.labels)}
        ids = [positions[label_name(label)] for label in codes]
        if ids != sorted(ids):
            written = spool(_renumbered(written, ids), written.features)
        return Split(written, sha256, conflicts.count())

    def held_out_split(self, split: str, rows: Iterable[Example]) -> Split:
        """Read dev or test. DataError if a row cannot be used, or has a class that train lacks."""
        ids = {label: position for position, label in enumerate(self.labels)}
        what = "tag" if self._kind is LabelKind.TAGS else "label"
        seen: set[bytes] = set()
        known = 0

        def encode(example: Example) -> int | float | list[int]:
            nonlocal known
            found = row_digest(example.texts)
            known += found in self.held_out_rows
            seen.add(found)
            self.held_out.update(map(digest, example.texts))
            if self._kind is LabelKind.CLASS:
                (label,) = classes(example)
                example = example._replace(label=as_in_train(label, ids))
            if self._kind is not LabelKind.NUMBER:
                check_known(example, ids, what)
            return label_value(example.label, ids)

        written, sha256 = self._write(split, rows, encode)
        self.held_out_rows |= seen
        return Split(written, sha256, known)

    def _write(self, split: str, rows: Iterable[Example], encode: Encode) -> tuple[Dataset, str]:
        """Write checked rows; return them and the hash of their content. DataError without rows."""
        sha256 = hashlib.sha256()
        remaining = iter(rows)
        first = next(remaining, None)
        if first is None:
            raise DataError(f"{self._name}: {split} has no rows: give it some")
        self._first = self._first or first

        def stored() -> Iterator[Mapping[str, Any]]:
            for example in chain([first], remaining):
                self._check(example)
                sha256.update(content(example))
                yield {**columns(example), "label": encode(example)}

        written = spool(in_batches(stored()), features(first, self._kind))
        return written, sha256.hexdigest()

    def _check(self, example: Example) -> None:
        """Raise DataError unless a row has the fields and types of the first one."""
        first = self._first
        assert first is not None
        if (example.pair is None) != (first.pair is None):
            has, other = ("no", "one") if example.pair is None else ("a", "none")
            raise DataError(
                f"{example.place}: the row has {has} second text, and {first.place} has {other}: "
                "give every row one, or none"
            )
        check_label_type(example, first)


def columns(example: Example) -> dict[str, Any]:
    """Return what is stored of a row beside its label."""
    stored: dict[str, Any] = {"text": example.text}
    if example.pair is not None:
        stored["text_pair"] = example.pair
    if example.words:
        stored["words"] = list(example.words)
    return stored


def features(example: Example, kind: LabelKind) -> Features:
    """Return the types of the columns in which rows like this one are stored."""
    text = Value("string")
    types = {name: List(text) if name == "words" else text for name in columns(example)}
    number = Value("float64" if kind is LabelKind.NUMBER else "int64")
    return Features({**types, "label": List(number) if kind in LISTS else number})


def content(example: Example) -> bytes:
    """Return what a row adds to the hash of its split."""
    label = example.label
    if isinstance(label, tuple):
        return line([example.words or example.texts, label])
    return line([*example.texts, label if isinstance(label, float) else label_name(label)])


def line(fields: Sequence[Any]) -> bytes:
    """Return fields as a line in which they are distinct."""
    return json.dumps(fields).encode() + b"\n"


def _renumbered(rows: Dataset, ids: Sequence[int]) -> Iterator[Columns]:
    """Yield the rows with the id of each label in place of its code."""
    for batch in batches_of(rows):
        label = [
            [ids[code] for code in codes] if isinstance(codes, list) else ids[codes]
            for codes in batch["label"]
        ]
        yield {**batch, "label": label}
