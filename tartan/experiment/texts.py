"""Texts as the body's tokenizer reads them, and what objectives are trained on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from datasets import Dataset

from tartan.batch import LabelKind
from tartan.body import ModelSource
from tartan.data import Task, Tokenized, tokenize
from tartan.data.endless import Streamed
from tartan.data.reader import reads_segments


class TokenizedTexts:
    """Texts by name as the body's tokenizer reads them, each tokenised once.

    Attributes:
        source: whose tokenizer it is.
        tokenized: the texts that were tokenised so far, by name.
    """

    def __init__(self, texts: Mapping[str, Dataset], source: ModelSource) -> None:
        self.source = source
        self.tokenized: dict[str, Tokenized] = {}
        self._texts = texts

    def __contains__(self, name: str) -> bool:
        """Return whether there are texts with this name."""
        return name in self._texts

    def rows(self, name: str) -> Dataset:
        """Return the tokenised rows with this name."""
        if name not in self.tokenized:
            source, texts = self.source, self._texts[name]
            self.tokenized[name] = tokenize(
                texts,
                source.tokenizer,
                source.max_length,
                reads_segments(source.tokenizer, source.config),
                long=source.long,
                max_chunks=source.max_chunks,
            )
        return self.tokenized[name].rows


@dataclass(frozen=True)
class Training:
    """What objectives are trained on. Nothing in it leads to a row of dev or test.

    Attributes:
        task: the task's name.
        kind: what its labels are.
        labels: its labels, as `Task.labels`.
        pairs: whether its rows are pairs of texts.
        labelled: its training rows, tokenised.
        corpora: the unlabelled texts.
        streamed: the unlabelled texts that are read during training, by name.
    """

    task: str
    kind: LabelKind
    labels: tuple[str, ...]
    pairs: bool
    labelled: Dataset
    corpora: TokenizedTexts
    streamed: Mapping[str, Streamed] = field(default_factory=dict)


class Texts:
    """A task's texts as the body's tokenizer reads them."""

    def __init__(self, task: Task, source: ModelSource) -> None:
        self.task, self.source = task, source
        self._splits = TokenizedTexts(task.splits, source)
        self._corpora = TokenizedTexts(task.corpora, source)

    @property
    def tokenized(self) -> Mapping[str, Tokenized]:
        """The texts that were tokenised so far, by split or corpus."""
        corpora = {f"the {name} corpus": part for name, part in self._corpora.tokenized.items()}
        return self._splits.tokenized | corpora

    def split(self, name: str) -> Dataset:
        """A labelled split: `train`, `dev` or `test`."""
        return self._splits.rows(name)

    def training(self, labelled: Dataset) -> Training:
        """Return the data of objectives; `labelled` are the training rows left to them."""
        task = self.task
        return Training(
            task.name, task.kind, task.labels, task.pairs, labelled, self._corpora, task.streamed
        )
