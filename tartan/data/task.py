"""The end task: its labelled splits, and the corpora that auxiliary objectives read."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from datasets import Dataset

from tartan.data.rows import Example, Label, kind
from tartan.errors import DataError, suggest

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Task:
    """A text classification task and its unlabelled text.

    Attributes:
        name: what reports call it.
        labels: the classes that occur in train; a class's id is its position.
        train: columns `text` (str) and `label` (int, an id).
        dev: as `train`.
        test: as `train`.
        corpora: unlabelled text by corpus name, column `text` (str). `task`, the training texts
            and any unlabelled text of the task, is always there; `domain` where the source has it.
        hashes: SHA-256, in hexadecimal, of the content of each split and corpus.
        dropped: corpus name to how many of its texts were left out because they stand in dev
            or test.
    """

    name: str
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
) -> Task:
    """A task from what a source has read.

    Dev and test texts never enter a corpus: a corpus text that equals one of them, up to white
    space, is dropped and counted.

    Args:
        name: the task's name.
        splits: the rows of `train`, `dev` and `test`.
        unlabelled: the task's texts without labels.
        domain: other texts of the task's domain, if there are any.
        order: class names in the order of their ids, where the source declares one.

    Raises:
        DataError: a split is empty, labels mix types, train has fewer than two classes, dev or
            test has a class that train lacks, or a corpus has no text outside dev and test.
    """
    for split in SPLITS:
        if not splits[split]:
            raise DataError(f"{name}: {split} has no rows: give it some")
    check_label_types(list(chain.from_iterable(splits[split] for split in SPLITS)))
    labels = class_names(name, splits["train"], order)
    for split in ("dev", "test"):
        check_known(splits[split], labels)

    texts = {"task": chain((example.text for example in splits["train"]), unlabelled)}
    if domain is not None:
        texts["domain"] = chain(domain)
    corpora, dropped = build_corpora(name, texts, [*splits["dev"], *splits["test"]])
    parts = {split: labelled(splits[split], labels) for split in SPLITS}
    hashes = {s: content_hash((e.text, label_name(e.label)) for e in splits[s]) for s in SPLITS}
    hashes |= {corpus: content_hash((t,) for t in rows["text"]) for corpus, rows in corpora.items()}
    return Task(name, labels, **parts, corpora=corpora, hashes=hashes, dropped=dropped)


def build_corpora(
    name: str, texts: Mapping[str, Iterable[str]], held_out: Sequence[Example]
) -> tuple[dict[str, Dataset], dict[str, int]]:
    """Each corpus without the held-out texts, and how many of its texts were left out.

    DataError if nothing is left of one.
    """
    unwanted = {normalise(example.text) for example in held_out}
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


def label_name(label: Label) -> str:
    """A label as a class name.

    >>> label_name(True), label_name(3), label_name("Uses")
    ('true', '3', 'Uses')
    """
    return str(label).lower() if isinstance(label, bool) else str(label)


def normalise(text: str) -> str:
    """A text with every run of white space as one space, and none at the ends.

    >>> normalise("  as  shown ")
    'as shown'
    """
    return " ".join(text.split())


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


def content_hash(rows: Iterable[Sequence[str]]) -> str:
    """The SHA-256 of rows, in hexadecimal; it changes with any field and with the order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def check_label_types(examples: Sequence[Example]) -> None:
    """DataError at the first row whose label is of another type than the first row's."""
    first = examples[0]
    for example in examples:
        if type(example.label) is not type(first.label):
            raise DataError(
                f"{example.place}: label is {kind(example.label)}, but {kind(first.label)} "
                f"at {first.place}: use one type throughout"
            )


def class_names(
    name: str, train: Sequence[Example], order: Sequence[str] | None
) -> tuple[str, ...]:
    """The classes that occur in train: in the declared order, else sorted by label.

    DataError if there are fewer than two.
    """
    # Sorted before they are named: integers keep the order of numbers.
    found = [label_name(label) for label in sorted({example.label for example in train})]
    if len(found) < 2:
        raise DataError(f"{name}: train has the one class '{found[0]}': give it at least two")
    return tuple(found) if order is None else tuple(sorted(found, key=order.index))


def check_known(examples: Sequence[Example], labels: Sequence[str]) -> None:
    """DataError at the first row whose class train lacks."""
    classes = frozenset(labels)
    for example in examples:
        label = label_name(example.label)
        if label not in classes:
            hint = suggest(label, labels)
            known = ", ".join(sorted(labels))
            listed = hint if known in hint else f"{hint} (train has {known})"
            raise DataError(f"{example.place}: label '{label}' does not occur in train: {listed}")


def labelled(examples: Sequence[Example], labels: Sequence[str]) -> Dataset:
    """Rows with their class ids: columns `text` and `label`."""
    ids = {label: position for position, label in enumerate(labels)}
    return Dataset.from_dict(
        {
            "text": [example.text for example in examples],
            "label": [ids[label_name(example.label)] for example in examples],
        }
    )
