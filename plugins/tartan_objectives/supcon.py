"""Supervised contrastive learning (Khosla et al., NeurIPS 2020, equation 2, L_out)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from tartan import (
    Batch,
    ConfigError,
    Context,
    Loss,
    Objective,
    Packed,
    Row,
    check_ranges,
    hookimpl,
    similarities,
)


@dataclass
class SupConOptions:
    """Options of `supcon`.

    Attributes:
        temperature: divisor of cosine similarities, more than 0.
        size: width of the projection in which similarities are computed, at least 1.
    """

    temperature: float = 0.1
    size: int = 128


class SupCon(Objective):
    """Bring rows of one class together and others apart. Items: two views of each labelled row.

    With z the normalised projections of all views of a batch, P(i) the other views of view i's
    class and A(i) all other views, the loss of view i is::

        -1 / |P(i)|  sum_{p in P(i)}  log( exp(z_i.z_p / t) / sum_{a in A(i)} exp(z_i.z_a / t) )

    The views of a row differ in dropout only, as in `simcse`, and are read in one pass of the body:
    so every view has a positive. The projection (dense, ReLU, dense) of the first token's hidden
    state (in a decoder, the last token's) belongs to this objective. Rows are contrasted within a
    micro-batch: several have fewer positives and negatives than one large batch.

    It reads the end task's labelled rows, whose labels must be classes.
    """

    cost: ClassVar[str] = "each sequence is read twice"
    Options = SupConOptions
    separable: ClassVar[bool] = False

    def __init__(self, options: SupConOptions, context: Context) -> None:
        super().__init__(options, context)
        where = context.section
        check_ranges(where, options, temperature="(0, inf)", size="[1, inf)")
        self._temperature = options.temperature
        self._examples = context.labelled()
        if not isinstance(self._examples[0]["label"], int):
            raise ConfigError(
                f"{where} contrasts classes, and the end task's labels are numbers, sets or tags "
                "of words: leave it out, or choose primary=classification."
            )
        width, self._last = context.hidden_size, context.causal
        self.head = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, options.size)
        )

    def examples(self) -> Sequence[Row]:
        """Return the end task's training rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:  # noqa: ARG002
        """Return a batch of all rows twice. Targets: `labels` [views] int64."""
        inputs = Packed.of_rows([*rows, *rows])
        labels = torch.tensor([row["label"] for row in rows]).repeat(2)
        wanted = inputs.pooled(last=self._last)
        return Batch(inputs.want(wanted), len(labels), {"labels": labels})

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Return the loss summed over views; metric `accuracy`: the nearest other view's class."""
        labels = batch.targets["labels"]
        projected = self.head(batch.inputs.pool(hidden, last=self._last))
        same = labels[:, None] == labels
        scores = similarities(projected) / self._temperature
        itself = torch.eye(batch.items, dtype=torch.bool, device=scores.device)
        nearest = scores.detach().masked_fill(itself, -torch.inf).argmax(1)
        right = (labels[nearest] == labels).sum()
        return Loss(contrast(scores, same & ~itself, itself), {"accuracy": right})


def contrast(scores: Tensor, positive: Tensor, itself: Tensor) -> Tensor:
    """Return L_out summed over views, [].

    Args:
        scores: [views, views] float, similarities divided by the temperature.
        positive: [views, views] bool, the pairs to bring together; each row has one.
        itself: [views, views] bool, the diagonal.
    """
    log_shares = scores - scores.masked_fill(itself, -torch.inf).logsumexp(1, keepdim=True)
    means = (log_shares * positive).sum(1) / positive.sum(1)
    return -means.sum()


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `supcon`."""
    return {"supcon": SupCon}
