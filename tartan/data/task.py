"""A task: its labelled splits, and the corpora that auxiliary objectives read."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from datasets import Dataset

from tartan.data.labels import label_name, label_names, label_value
from tartan.data.rows import Example
from tartan.errors import DataError
from tartan.objective import LabelKind

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Task:
    """Labelled texts, pairs of texts or words, and the task's unlabelled text.

    Attributes:
        name: what reports call it.
        kind: what its labels are.
        labels: the classes or tags that occur in train, a label's id is its position; one name
            where labels are numbers.
        train: columns `text` (str); `text_pair` (str) in a task of pairs; `words` (list of str)
            where words are tagged; `label` (int, float or list of int, as `LabelKind` says).
        dev: as `train`; without rows where it was not asked for.
        test: as `dev`.
        corpora: unlabelled text by corpus name, column `text` (str). `task`, the training texts
            and any unlabelled text of the task, is always there; `domain` where the source has it.
            Each text of a pair is a text of its own.
        hashes: SHA-256, in hexadecimal, of the content of each split and corpus.
        dropped: corpus name to how many of its texts were left out because they stand in dev
            or test.
    """

    name: str
    kind: LabelKind
    labels: tuple[str, ...]
    train: Dataset
    dev: Dataset
    test: Dataset
    corpora: Mapping[str, Dataset]
    hashes: Mapping[str, str]
    dropped: Mapping[str, int]


def build_task(
    name: str,
    splits: Mapping[str, Sequence[Example]],
    unlabelled: Iterable[str] = (),
    domain: Iterable[str] | None = None,
    order: Sequence[str] | None = None,
    kind: LabelKind = LabelKind.CLASS,
) -> Task:
    """A task from what a source has read.

    Dev and test texts never enter a corpus: a corpus text that equals one of them, up to white
    space, is dropped and counted.

    Args:
        name: the task's name.
        splits: the rows of `train`, `dev` and `test`, or of those that were asked for.
        unlabelled: the task's texts without labels.
        domain: other texts of the task's domain, if there are any.
        order: class or tag names in the order of their ids, where the source declares one.
        kind: what the labels are.

    Raises:
        DataError: a split is empty, some rows alone are pairs, labels mix types, train has fewer
            than two classes, dev or test has a class that train lacks, or a corpus has no text
            outside dev and test.
    """
    for split, rows in splits.items():
        if not rows:
            raise DataError(f"{name}: {split} has no rows: give it some")
    check_pairs(list(chain.from_iterable(splits.values())))
    train, held_out = splits["train"], [*splits.get("dev", ()), *splits.get("test", ())]
    labels = label_names(name, kind, train, held_out, order)
    texts = {"task": chain(chain.from_iterable(row.texts for row in train), unlabelled)}
    if domain is not None:
        texts["domain"] = chain(domain)
    corpora, dropped = build_corpora(name, texts, held_out)
    parts = {split: labelled(splits.get(split, ()), labels) for split in SPLITS}
    hashes = {split: content_hash(map(content, rows)) for split, rows in splits.items()}
    hashes |= {corpus: content_hash((t,) for t in rows["text"]) for corpus, rows in corpora.items()}
    return Task(name, kind, labels, **parts, corpora=corpora, hashes=hashes, dropped=dropped)


def check_pairs(examples: Sequence[Example]) -> None:
    """DataError at the first row that has a second text though the first row has none, or not."""
    first = examples[0]
    for example in examples:
        if (example.pair is None) != (first.pair is None):
            has, other = ("no", "one") if example.pair is None else ("a", "none")
            raise DataError(
                f"{example.place}: the row has {has} second text, and {first.place} has {other}: "
                "give every row one, or none"
            )


def build_corpora(
    name: str, texts: Mapping[str, Iterable[str]], held_out: Sequence[Example]
) -> tuple[dict[str, Dataset], dict[str, int]]:
    """Each corpus without the held-out texts, and how many of its texts were left out.

    DataError if nothing is left of one.
    """
    unwanted = {normalise(text) for example in held_out for text in example.texts}
    corpora: dict[str, Dataset] = {}
    dropped: dict[str, int] = {}
    for corpus, read in texts.items():
        kept, dropped[corpus] = without(unwanted, read)
        if not kept:
            raise DataError(
                f"{name}: all {dropped[corpus]} texts of the {corpus} corpus stand in dev or "
                "test: give it other text"
            )
        corpora[corpus] = Dataset.from_dict({"text": kept})
    return corpora, dropped


def normalise(text: str) -> str:
    """A text without its white space: tagged words that were joined equal the text they are of.

    >>> normalise("as shown .") == normalise(" as  shown.")
    True
    """
    return "".join(text.split())


def without(held_out: set[str], texts: Iterable[str]) -> tuple[list[str], int]:
    """The texts that are not held out, in their order, and how many were left out.

    Args:
        held_out: normalised texts.
        texts: texts as they were read.
    """
    kept: list[str] = []
    dropped = 0
    for text in texts:
        if normalise(text) in held_out:
            dropped += 1
        else:
            kept.append(text)
    return kept, dropped


def content(example: Example) -> list[Any]:
    """What a row's hash depends on."""
    label = example.label
    if isinstance(label, tuple):
        return [example.words, label]
    return [*example.texts, label if isinstance(label, float) else label_name(label)]


def content_hash(rows: Iterable[Sequence[Any]]) -> str:
    """The SHA-256 of rows, in hexadecimal; it changes with any field and with the order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def labelled(examples: Sequence[Example], labels: Sequence[str]) -> Dataset:
    """Rows as `Task.train` has them."""
    ids = {label: position for position, label in enumerate(labels)}
    columns: dict[str, list[Any]] = {"text": [example.text for example in examples]}
    if examples and examples[0].pair is not None:
        columns["text_pair"] = [example.pair for example in examples]
    if examples and examples[0].words:
        columns["words"] = [list(example.words) for example in examples]
    columns["label"] = [label_value(example.label, ids) for example in examples]
    return Dataset.from_dict(columns)
