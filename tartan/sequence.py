"""The base class of end tasks that have one label a sequence."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from tartan.batch import Batch, Row
from tartan.context import Context
from tartan.evaluating import evaluating
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
        self._reads = token_read(self.head, self._hidden_size)
        self._last = context.causal or self._reads == "last"

    def examples(self) -> Sequence[Row]:
        """Return the labelled training rows."""
        return self._examples

    def inputs(self, rows: Sequence[Row]) -> Packed:
        """Return the packed rows; only hidden states that head and probe read are `wanted`."""
        packed = Packed.of_rows(rows)
        return packed if self._reads is None else packed.want(packed.pooled(last=self._last))

    def predict(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Return the head's outputs, [rows, outputs]; of a row in chunks their mean."""
        outputs: Tensor = self.head(batch.inputs.pad(hidden), batch.inputs.mask)
        return batch.inputs.by_text(outputs)

    def features(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Return the hidden state of each sequence's first token, in a decoder of its last one.

        That is the token that the head reads, if it reads one only: [rows, hidden] float.
        """
        return batch.inputs.pool(hidden, last=self._last)

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


def token_read(head: nn.Module, width: int) -> Literal["first", "last"] | None:
    """Return which hidden state of each sequence a head's outputs depend on; None for several.

    The head is called on hidden states that differ in all others.

    Args:
        head: called as `tartan.objective.Head` says; its mode is kept.
        width: of the hidden states.
    """
    states = torch.arange(2 * 4 * width).sin().view(2, 4, width)
    mask = torch.tensor([[True] * 4, [True] * 3 + [False]])
    ends: dict[Literal["first", "last"], list[int]] = {"first": [0, 0], "last": [3, 2]}
    with evaluating(head), torch.no_grad():
        expected = head(states, mask)
        reads = (token for token in ends if _ignores(head, states, mask, ends[token], expected))
        return next(reads, None)


def _ignores(
    head: nn.Module, states: Tensor, mask: Tensor, kept: Sequence[int], expected: Tensor
) -> bool:
    """Return whether outputs stay the same when all states but one of each row change."""
    others = states.cos()
    rows = torch.arange(len(states))
    others[rows, list(kept)] = states[rows, list(kept)]
    return torch.equal(expected, head(others, mask))
