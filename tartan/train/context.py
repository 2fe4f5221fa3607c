"""What an objective is built from: the end task's training data and heads on the body."""

from collections.abc import Sequence
from functools import cache

from datasets import Dataset
from torch import nn
from transformers import PreTrainedTokenizerBase

from tartan.body import Body, ModelSource
from tartan.data import Task, tokenize
from tartan.errors import DataError
from tartan.objective import Row
from tartan.seeding import seeded


class Texts:
    """A task's texts as the body's tokenizer reads them, each tokenised once.

    Attributes:
        truncated: rows that lost tokens at the body's maximum length, by split or corpus.
    """

    def __init__(self, task: Task, source: ModelSource) -> None:
        self.task, self.source = task, source
        self.truncated: dict[str, int] = {}
        self.split = cache(self._split)
        self.corpus = cache(self._corpus)

    def _split(self, name: str) -> Dataset:
        """A labelled split: `train`, `dev` or `test`."""
        splits = {"train": self.task.train, "dev": self.task.dev, "test": self.task.test}
        return self._tokenize(name, splits[name])

    def _corpus(self, name: str) -> Dataset:
        """An unlabelled corpus."""
        return self._tokenize(f"{name} corpus", self.task.corpora[name])

    def _tokenize(self, name: str, texts: Dataset) -> Dataset:
        tokenized = tokenize(texts, self.source.tokenizer, self.source.max_length)
        if tokenized.truncated:
            self.truncated[name] = tokenized.truncated
        return tokenized.rows


class TaskContext:
    """The `tartan.Context` of one objective."""

    def __init__(self, name: str, texts: Texts, labelled: Dataset, body: Body, seed: int) -> None:
        self._name, self._texts, self._labelled = name, texts, labelled
        self._body, self._seed = body, seed

    @property
    def name(self) -> str:
        """The objective's name in this run."""
        return self._name

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The body's tokenizer."""
        return self._texts.source.tokenizer

    @property
    def hidden_size(self) -> int:
        """The width of the body's hidden states."""
        return self._body.hidden_size

    @property
    def labels(self) -> tuple[str, ...]:
        """The end task's classes."""
        return self._texts.task.labels

    def labelled(self) -> Sequence[Row]:
        """The training rows, without those that are held out."""
        rows: Sequence[Row] = self._labelled
        return rows

    def corpus(self, name: str) -> Sequence[Row]:
        """A corpus's rows. DataError if the task has none of that name."""
        if name not in self._texts.task.corpora:
            raise DataError(
                f"objective {self._name} reads the {name} corpus, which {self._texts.task.name} "
                f"lacks: {_remedy(name)}"
            )
        rows: Sequence[Row] = self._texts.corpus(name)
        return rows

    def head(self, kind: str) -> nn.Module:
        """A head of the body's family; new parameters depend on the objective's name alone."""
        with seeded(self._seed, "head", self._name):
            return self._texts.source.head(kind, self._body, self.labels)


def _remedy(corpus: str) -> str:
    """What to do about a missing corpus."""
    if corpus == "domain":
        return "add a domain.txt, one passage a line, or leave the objective out"
    return "choose task or domain"
