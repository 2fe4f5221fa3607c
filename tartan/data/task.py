"""A task: its labelled splits, and the corpora that auxiliary objectives read."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from datasets import Dataset, Features, Value

from tartan.batch import LabelKind
from tartan.data.arrow import batches_of, in_batches, spool
from tartan.data.digests import digest, row_digest
from tartan.data.divide import Division
from tartan.data.endless import Streamed, Streaming
from tartan.data.rows import LISTS, PAIR, Example
from tartan.data.shards import shards_hash
from tartan.data.splits import SplitReader, line
from tartan.errors import DataError

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Subset:
    """Which training rows kept their labels.

    Attributes:
        of: the number of labelled training rows that there were.
        seed: of the choice.
        labels: the number of kept rows, or of their words, by label; empty for numbers.
    """

    of: int
    seed: int
    labels: Mapping[str, int]


@dataclass(frozen=True)
class Task:
    """Labelled texts, pairs of texts or words, and the task's unlabelled text.

    Rows and texts are on disk and memory-mapped.

    Attributes:
        name: its name in reports.
        kind: the kind of its labels.
        labels: the classes or tags that occur in train, a label's id is its position; one name
            where labels are numbers.
        train: columns `text` (str); `text_pair` (str) in a task of pairs; `words` (list of str)
            where words are tagged; `label` (int, float or list of int, as `LabelKind` says).
        dev: as `train`; without rows where it was not requested.
        test: as `dev`.
        corpora: unlabelled text by corpus name, column `text` (str). `task`, the training texts
            and any unlabelled text of the task, is always there; `domain` where the source has it.
            Each text of a pair is a text of its own.
        streamed: corpora that are read while a run trains, by name.
        hashes: SHA-256, in hexadecimal, of the content of each split and corpus; of a stream, of
            the names and sizes of its files.
        dropped: number of texts that were left out of each corpus because they appear in dev or
            test.
        leaks: number of rows of train whose texts are those of a row of dev or test, and of test
            whose texts are those of a row of dev. Labelled rows are kept.
        conflicts: number of rows of train with the texts of another row and another label.
        subset: where only some of the labels are used, which; None for all of them.
        division: where splits were made of one file, how; None if every split has its own.
        notes: what the source read as what, a sentence each.
        separator: what separates labels in a string, where a row may have several.
        columns: by role, those that were read where the source looks for usual names.
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
    leaks: Mapping[str, int]
    conflicts: int
    subset: Subset | None = None
    division: Division | None = None
    notes: Sequence[str] = ()
    streamed: Mapping[str, Streamed] = field(default_factory=dict)
    separator: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def pairs(self) -> bool:
        """Return whether a row is a pair of texts."""
        return PAIR in self.train.column_names

    @property
    def splits(self) -> dict[str, Dataset]:
        """Return the labelled rows by split."""
        return {"train": self.train, "dev": self.dev, "test": self.test}

    @property
    def sizes(self) -> dict[str, int | None]:
        """Return the number of rows of each split and corpus; of a streamed corpus, None."""
        parts = self.splits | dict(self.corpora)
        return {name: len(rows) for name, rows in parts.items()} | dict.fromkeys(self.streamed)


def build_task(
    name: str,
    splits: Mapping[str, Iterable[Example]],
    unlabelled: Iterable[str] = (),
    domain: Iterable[str] | None = None,
    order: Sequence[str] | None = None,
    kind: LabelKind = LabelKind.CLASS,
    streaming: Streaming | None = None,
) -> Task:
    """Return a task from what a source reads. Rows and texts are processed one at a time.

    Dev and test texts never enter a corpus: a corpus text that equals one of them, up to white
    space, is dropped and counted.

    Args:
        name: the task's name.
        splits: the rows of `train`, `dev` and `test`, or of those that were requested.
        unlabelled: the task's texts without labels.
        domain: other texts of the task's domain, if there are any.
        order: class or tag names in the order of their ids, where the source declares one.
        kind: what the labels are.
        streaming: the domain's texts, if they are read while a run trains.

    Raises:
        DataError: a split is empty, some rows alone are pairs, labels mix types, train has fewer
            than two classes or numbers, dev or test has a class that train lacks, or a corpus has
            no text outside dev and test.
    """
    reader = SplitReader(name, kind, order)
    found = {"train": reader.train(splits["train"])}
    held_out = [split for split in SPLITS[1:] if split in splits]
    found |= {split: reader.held_out_split(split, splits[split]) for split in held_out}
    train = found["train"].rows
    texts = {"task": chain(texts_of(train), unlabelled)}
    if domain is not None:
        texts["domain"] = chain(domain)
    corpora = {
        corpus: build_corpus(name, corpus, read, reader.held_out) for corpus, read in texts.items()
    }
    parts = {split: found[split].rows if split in found else train.select([]) for split in SPLITS}
    return Task(
        name,
        kind,
        reader.labels,
        **parts,
        corpora={corpus: part.texts for corpus, part in corpora.items()},
        hashes={split: part.sha256 for split, part in found.items()}
        | {corpus: part.sha256 for corpus, part in corpora.items()}
        | ({"domain": shards_hash(streaming.shards)} if streaming else {}),
        dropped={corpus: part.dropped for corpus, part in corpora.items()},
        leaks={"train": leaked(train, reader.held_out_rows)}
        | {split: found[split].doubtful for split in held_out if split == "test"},
        conflicts=found["train"].doubtful,
        streamed={"domain": Streamed(**vars(streaming), held_out=reader.held_out)}
        if streaming
        else {},
    )


@dataclass(frozen=True)
class Corpus:
    """One corpus as it was read.

    Attributes:
        texts: column `text` (str).
        sha256: of their content, in hexadecimal.
        dropped: number of texts left out because they are held out.
    """

    texts: Dataset
    sha256: str
    dropped: int


def build_corpus(
    name: str, corpus: str, texts: Iterable[str], held_out: AbstractSet[bytes]
) -> Corpus:
    """Return a corpus without held-out texts, given by digest. DataError if none is left."""
    sha256 = hashlib.sha256()
    dropped = 0

    def kept() -> Iterator[Mapping[str, str]]:
        nonlocal dropped
        for text in texts:
            if digest(text) in held_out:
                dropped += 1
            else:
                sha256.update(line([text]))
                yield {"text": text}

    rows = spool(in_batches(kept()), Features({"text": Value("string")}))
    if not len(rows):
        raise DataError(
            f"{name}: all {dropped} texts of the {corpus} corpus also appear in dev or test: give "
            "it other text"
        )
    return Corpus(rows, sha256.hexdigest(), dropped)


def texts_of(rows: Dataset) -> Iterator[str]:
    """Yield every text of rows; of a pair, one after the other."""
    return chain.from_iterable(row_texts(rows))


def row_texts(rows: Dataset) -> Iterator[tuple[str, ...]]:
    """Yield the text of each row, or both texts of a pair."""
    columns = [column for column in ("text", "text_pair") if column in rows.column_names]
    for batch in batches_of(rows.select_columns(columns)):
        yield from zip(*(batch[column] for column in columns), strict=True)


def labels_of(rows: Dataset) -> Iterator[Any]:
    """Yield the label of each row."""
    for batch in batches_of(rows.select_columns(["label"])):
        yield from batch["label"]


def count_labels(task: Task, rows: Dataset) -> Mapping[str, int]:
    """Return how many rows of a task (tags: how many words) have each label."""
    labels = labels_of(rows)
    counts = Counter(chain.from_iterable(labels) if task.kind in LISTS else labels)
    return {label: counts[id] for id, label in enumerate(task.labels)}


def leaked(rows: Dataset, held_out: AbstractSet[bytes]) -> int:
    """Return how many rows are held out, by their digests."""
    return sum(row_digest(texts) in held_out for texts in row_texts(rows))
