"""What an objective is built from, in tests: a tiny body, and rows for everything."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from tartan import PrimaryObjective, Row, Unit
from tartan.body import Body, ModelSource, load_teacher, masked_lm
from tartan.experiment.end_task import LentEndTask
from tartan.testing import tiny_source

ROWS = [
    {"input_ids": [0, *range(5, 5 + length), 2], "label": n % 3}
    for n, length in enumerate((3, 9, 1, 6, 12, 4, 7, 2))
]


@dataclass
class TinyContext:
    """A context with a tiny body, and rows for everything."""

    source: ModelSource = field(default_factory=tiny_source)
    name: str = "mine"
    labels: tuple[str, ...] = ("a", "b", "c")
    primary: PrimaryObjective | None = None
    pairs: bool = False

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.body: Body = self.source.body()
        self.tokenizer = self.source.tokenizer
        self.hidden_size = self.body.hidden_size
        self.causal = self.body.causal
        self.notices: list[str] = []
        self.embedding_size = self.body.embedding_size

    @property
    def section(self) -> str:
        return f"objectives.{self.name}"

    @property
    def end_task(self) -> LentEndTask:
        assert self.primary is not None
        return LentEndTask(self.primary, self.name, pairs=self.pairs)

    def labelled(self) -> Sequence[Row]:
        return ROWS

    def corpus(self, name: str) -> Sequence[Row]:
        return ROWS

    def head(self, kind: str, *, unit: Unit | None = None) -> nn.Module:
        return self.source.head(kind, self.body, self.labels, unit)

    def masked_lm(
        self, *, width: float = 1.0, name: str | None = None, tied: bool = False
    ) -> nn.Module:
        return masked_lm(self.source, self.body, width=width, name=name, tied=tied)

    def teacher(self, name: str) -> nn.Module:
        return load_teacher(self.source, self.labels, name)

    def check_causal(self) -> None:
        self.body.check("causal")

    def notice(self, line: str) -> None:
        self.notices.append(line)

    def check_places(self, *, backwards: bool = False) -> None:
        self.body.check("backwards" if backwards else "places")

    def check_embeddings(self) -> None:
        self.body.check("embeddings")


class TaggedContext(TinyContext):
    """A context whose labelled rows are tagged words."""

    def labelled(self) -> Sequence[Row]:
        return [{"input_ids": [0, 5, 6, 7, 2], "word_starts": [1, 3], "label": [1, 2]}]
