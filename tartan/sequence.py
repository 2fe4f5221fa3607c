"""The base class of end tasks that have one label a sequence."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tartan.batch import Batch, Row
from tartan.context import Context
from tartan.objective import PrimaryObjective
from tartan.packed import Packed
from tartan.unit import Unit


class SequenceObjective(PrimaryObjective):
    """An end task with the family's own head, one output for each of `context.labels`."""

    def __init__(self, options: Any, context: Context, unit: Unit | None = None) -> None:
        """Build the head and find the labelled rows.

        `unit`: of numbers, what they are standardised by; the head's outputs then are, too.
        """
        super().__init__(options, context)
        self._outputs, self._hidden_size = len(context.labels), context.hidden_size
        self._examples = context.labelled()
        self.head = context.head("SequenceClassification", unit=unit)
        self._first = reads_first_tokens(self.head, self._hidden_size)

    def examples(self) -> Sequence[Row]:
        """Return the labelled training rows."""
        return self._examples

    def inputs(self, rows: Sequence[Row]) -> Packed:
        """Return the packed rows; only hidden states that head and probe read are `wanted`."""
        packed = Packed.of_rows(rows)
        return packed.want(packed.starts) if self._first else packed

    def predict(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Return the head's outputs, [rows, outputs]."""
        outputs: Tensor = self.head(batch.inputs.pad(hidden), batch.inputs.mask)
        return outputs

    def features(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Return each sequence's first hidden state, [rows, hidden]."""
        return batch.inputs.first(hidden)

    def probe(self, dropout: float) -> nn.Module:
        """Return the paper's meta-dev head: RoBERTa's classification head, on `features`."""
        size = self._hidden_size
        return nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(size, size),
            nn.Tanh(),
            nn.Dropout(dropout),
            nn.Linear(size, self._outputs),
        )


def reads_first_tokens(head: nn.Module, width: int) -> bool:
    """Return whether a head's outputs depend on each sequence's first hidden state only.

    The head is called on hidden states that differ in all others.

    Args:
        head: called as `tartan.objective.Head` says; it is set to training mode.
        width: of the hidden states.
    """
    states = torch.arange(2 * 3 * width).sin().view(2, 3, width)
    others = states.clone()
    others[:, 1:] = states[:, 1:].cos()
    mask = torch.ones(2, 3, dtype=torch.bool)
    head.eval()
    with torch.no_grad():
        alike = torch.equal(head(states, mask), head(others, mask))
    head.train()
    return alike
