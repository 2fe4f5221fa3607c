"""Unsupervised SimCSE (Gao et al., EMNLP 2021): tell a text's other view from other texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tartan import Batch, ConfigError, Context, Loss, Objective, Packed, Row, hookimpl


@dataclass
class SimCSEOptions:
    """Options of `simcse`.

    Attributes:
        corpus: what it reads: `task`, the end task's own texts, or `domain`.
        temperature: what cosine similarities are divided by, more than 0.
    """

    corpus: str = "task"
    temperature: float = 0.05


class SimCSE(Objective):
    """Contrast two views of each sequence in which dropout alone differs. Items: the sequences.

    Both views are in one pass of the body, each with dropout of its own; the body's dropout is all
    the augmentation there is, so a body without any gives equal views. A sequence is its first
    token's hidden state, through a dense layer and tanh that only this objective uses. The
    negatives are the other sequences of the batch: micro-batches contrast less than a batch of
    their joint size, and a single sequence has loss 0.
    """

    cost: ClassVar[str] = "one pass of the body over its batch, each sequence twice"
    Options = SimCSEOptions
    separable: ClassVar[bool] = False

    def __init__(self, options: SimCSEOptions, context: Context) -> None:
        super().__init__(options, context)
        if not options.temperature > 0:
            raise ConfigError(
                f"objectives.{context.name}.temperature is {options.temperature}: give more than 0"
            )
        self._temperature = options.temperature
        self._examples = context.corpus(options.corpus)
        size = context.hidden_size
        self.head = nn.Sequential(nn.Linear(size, size), nn.Tanh())

    def examples(self) -> Sequence[Row]:
        """The corpus's rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:  # noqa: ARG002
        """All rows, then all rows again."""
        sequences = [row["input_ids"] for row in rows]
        inputs = Packed.of([*sequences, *sequences])
        return Batch(inputs.want(inputs.starts), len(rows))

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Cross-entropy of finding each first view's other view among all second views."""
        one, other = self.head(hidden[batch.inputs.starts]).float().chunk(2)
        scores = similarities(one, other) / self._temperature
        own = torch.arange(batch.items, device=scores.device)
        right = (scores.argmax(1) == own).sum()
        return Loss(functional.cross_entropy(scores, own, reduction="sum"), {"accuracy": right})


def similarities(one: Tensor, other: Tensor) -> Tensor:
    """Cosines [rows, columns] of vectors [rows, size] with vectors [columns, size]."""
    return functional.normalize(one, dim=1) @ functional.normalize(other, dim=1).T


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `simcse`."""
    return {"simcse": SimCSE}
