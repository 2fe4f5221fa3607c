"""R-Drop (Liang et al., NeurIPS 2021): two dropout masks have to give the same prediction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from tartan import (
    Batch,
    Context,
    Encoder,
    Loss,
    Objective,
    Passes,
    Row,
    check_ranges,
    divergence,
    hookimpl,
)


@dataclass
class RDropOptions:
    """Options of `rdrop`.

    Attributes:
        alpha: weight of the divergence, at least 0; the paper's experiments use 0.1 to 5.
    """

    alpha: float = 1.0


class RDrop(Objective):
    """The end task's loss under two dropout masks, and their divergence. Items: the end task's.

    Equation 4 of the paper (section 2.1), for each item with predictions P1 and P2 of two passes::

        L = -log P1(y|x) - log P2(y|x) + alpha / 2 * (KL(P1 || P2) + KL(P2 || P1))

    The predictions are those of the end task's own head, and -log P is the end task's criterion.
    The head is trained by both objectives. For numbers, half the squared difference takes the place
    of KL. Gradients flow through both passes. Without dropout the divergence is 0.

    As in the paper the likelihoods are a sum over both passes, about twice the end task's loss.
    """

    Options = RDropOptions
    passes = Passes(forward=2, backward=2)
    uses_end_task: ClassVar[bool] = True

    def __init__(self, options: RDropOptions, context: Context) -> None:
        super().__init__(options, context)
        check_ranges(context.section, options, alpha="[0, inf)")
        self._alpha = options.alpha
        self._examples = context.labelled()

    def examples(self) -> Sequence[Row]:
        """Return the end task's training rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Return the end task's own batch."""
        return self.end_task.collate(rows, rng)

    def prepare(self, batch: Batch) -> Batch:
        """Prepare the batch as the end task does."""
        return self.end_task.prepare(batch)

    def compute(self, body: Encoder, batch: Batch) -> Loss:
        """Return equation 4 summed over the items, with the sum of the divergence as a metric."""
        task = self.end_task
        one, other = (task.predict(body(batch.inputs), batch) for _ in range(2))
        likelihood = task.criterion(one, batch) + task.criterion(other, batch)
        apart = (divergence(one, other, task.reads) + divergence(other, one, task.reads)) / 2
        return Loss(likelihood + self._alpha * apart, {"divergence": apart.detach()})


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `rdrop`."""
    return {"rdrop": RDrop}
