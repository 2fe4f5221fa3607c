"""Unsupervised SimCSE (Gao et al., EMNLP 2021): contrastive learning of two dropout views."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tartan import (
    Batch,
    Context,
    CorpusOptions,
    Loss,
    Objective,
    Packed,
    Row,
    check_ranges,
    hookimpl,
    read_corpora,
    similarities,
)


@dataclass
class SimCSEOptions(CorpusOptions):
    """Options of `simcse`.

    Attributes:
        temperature: divisor of cosine similarities, more than 0.
    """

    temperature: float = 0.05


class SimCSE(Objective):
    """Contrast two views of each sequence that differ in dropout only. Items: the sequences.

    Both views are read in one pass of the body, each with its own dropout masks. Dropout is the
    only augmentation: without it the views are equal. A sequence is represented by its first
    token's hidden state (in a decoder, its last token's), through a dense layer and tanh that
    belong to this objective. The negatives are the other sequences of the batch: several
    micro-batches have fewer negatives than one large batch, and a single sequence has loss 0.
    """

    cost: ClassVar[str] = "each sequence is read twice"
    Options = SimCSEOptions
    separable: ClassVar[bool] = False

    def __init__(self, options: SimCSEOptions, context: Context) -> None:
        super().__init__(options, context)
        check_ranges(context.section, options, temperature="(0, inf)")
        self._temperature = options.temperature
        self._examples = read_corpora(context, options)
        size, self._last = context.hidden_size, context.causal
        self.head = nn.Sequential(nn.Linear(size, size), nn.Tanh())

    def examples(self) -> Sequence[Row]:
        """Return the corpus's rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:  # noqa: ARG002
        """Return a batch of all rows, followed by all rows again."""
        sequences = [row["input_ids"] for row in rows]
        inputs = Packed.of([*sequences, *sequences])
        return Batch(inputs.want(inputs.pooled(last=self._last)), len(rows))

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Return the cross-entropy of matching each first view to its second view, summed."""
        states = batch.inputs.pool(hidden, last=self._last)
        one, other = self.head(states).chunk(2)
        scores = similarities(one, other) / self._temperature
        own = torch.arange(batch.items, device=scores.device)
        right = (scores.argmax(1) == own).sum()
        return Loss(functional.cross_entropy(scores, own, reduction="sum"), {"accuracy": right})


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `simcse`."""
    return {"simcse": SimCSE}
