"""What an objective is built from: the end task's training data and heads on the body."""

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import nn
from transformers import PreTrainedTokenizerBase

from tartan.batch import LabelKind, Row
from tartan.body import Body, load_teacher, masked_lm
from tartan.context import EndTask
from tartan.data.endless import EndlessRows, Streamed
from tartan.data.reader import Reader
from tartan.errors import ConfigError, MissingCorpusError
from tartan.experiment.end_task import LentEndTask
from tartan.experiment.texts import Training
from tartan.objective import PrimaryObjective
from tartan.seeding import seeded
from tartan.unit import Unit

Problem = Literal["single_label_classification", "multi_label_classification", "regression"]
PROBLEMS: Mapping[LabelKind, Problem] = {
    LabelKind.CLASS: "single_label_classification",
    LabelKind.SETS: "multi_label_classification",
    LabelKind.NUMBER: "regression",
}
"""What Hugging Face calls the problem that a head on sequences solves."""


class TaskContext:
    """The `tartan.Context` of one objective.

    Attributes:
        name: the objective's name in this run.
        section: where its options are in the configuration.
        notices: what the objective reports to the user, a line each.
        heads: what is to be known of heads that training begins from, a line each.
    """

    def __init__(
        self,
        name: str,
        training: Training,
        body: Body,
        seed: int,
        end_task: PrimaryObjective | None = None,
        section: str | None = None,
    ) -> None:
        """`end_task`: the end task; None when it is what is built. `section`: see `Context`."""
        self.name, self._training, self._source = name, training, training.corpora.source
        self._body, self._seed = body, seed
        self._end_task = end_task
        self.section = f"objectives.{name}" if section is None else section
        self.notices: list[str] = []
        self.heads: list[str] = []

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The body's tokenizer."""
        return self._source.tokenizer

    @property
    def hidden_size(self) -> int:
        """The width of the body's hidden states."""
        return self._body.hidden_size

    @property
    def embedding_size(self) -> int:
        """The width of the body's token embeddings."""
        return self._body.embedding_size

    @property
    def causal(self) -> bool:
        """True if the body reads left to right only."""
        return self._body.causal

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of classes or tags; of numbers, one name."""
        return self._training.labels

    @property
    def end_task(self) -> EndTask:
        """The end task. ConfigError if it is the objective itself."""
        if self._end_task is None:
            raise ConfigError(
                f"{self.name} trains the end task's head, so it cannot be the end task: list it "
                "in `objectives`"
            )
        return LentEndTask(self._end_task, self.name, pairs=self._training.pairs)

    def labelled(self) -> Sequence[Row]:
        """The training rows, without those that are held out."""
        rows: Sequence[Row] = self._training.labelled
        return rows

    def corpus(self, name: str) -> Sequence[Row]:
        """A corpus's rows. MissingCorpusError if the task has none of that name."""
        if name in self._training.streamed:
            return self._stream(self._training.streamed[name])
        if name not in self._training.corpora:
            raise MissingCorpusError(
                f"objective {self.name} reads the {name} corpus, which "
                f"{self._training.task} lacks: {_remedy(name)}"
            )
        rows: Sequence[Row] = self._training.corpora.rows(name)
        return rows

    def _stream(self, streamed: Streamed) -> Sequence[Row]:
        """Return the rows of a streamed corpus, in an order of the objective's own."""
        source = self._source
        reader = Reader(source.tokenizer, source.max_length, False, source.long, source.max_chunks)
        return EndlessRows(streamed, reader, self._seed, self.name)

    def head(self, kind: str, *, unit: Unit | None = None) -> nn.Module:
        """Build a head of the body's family; new parameters depend on the objective's name alone.

        Args and errors are those of `Context.head`.
        """
        with seeded(self._seed, "head", self.name):
            head = self._source.head(kind, self._body, self.labels, unit)
        if head.notice is not None:
            self.heads.append(head.notice)
        if kind == "SequenceClassification":
            # A checkpoint may say otherwise, and what is exported is read by it.
            head.model.config.problem_type = PROBLEMS.get(self._training.kind)
        return head

    def masked_lm(
        self, *, width: float = 1.0, name: str | None = None, tied: bool = False
    ) -> nn.Module:
        """Another masked language model; new parameters depend on the objective's name alone."""
        with seeded(self._seed, "masked_lm", self.name):
            return masked_lm(self._source, self._body, width=width, name=name, tied=tied)

    def teacher(self, name: str) -> nn.Module:
        """Return a frozen classification model with the task's classes."""
        return load_teacher(self._source, self.labels, name)

    def check_causal(self) -> None:
        """ModelError unless the body can read left to right."""
        self._body.check("causal")

    def check_places(self, *, backwards: bool = False) -> None:
        """Raise ModelError unless the body can read sequences in another order, or backwards."""
        self._body.check("backwards" if backwards else "places")

    def check_embeddings(self) -> None:
        """Raise ModelError unless the body can read token embeddings instead of token ids."""
        self._body.check("embeddings")

    def notice(self, line: str) -> None:
        """Add a line to the notices printed before training."""
        self.notices.append(line)


def _remedy(corpus: str) -> str:
    """Return what to do about a missing corpus."""
    if corpus == "domain":
        return (
            "give data.domain=PATH (data=files, data=hub), add domain.txt to data.dir "
            "(data=jsonl), or leave the objective out"
        )
    return "choose task or domain"
