"""What end tasks that predict something of a whole sequence have in common."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from tartan.objective import Batch, Context, PrimaryObjective, Row


class SequenceObjective(PrimaryObjective):
    """The family's own head on sequences, one output for each of `context.labels`."""

    def __init__(self, options: Any, context: Context) -> None:
        """Build the head and find the labelled rows."""
        super().__init__(options, context)
        self._outputs, self._hidden_size = len(context.labels), context.hidden_size
        self._examples = context.labelled()
        self.head = context.head("SequenceClassification")

    def examples(self) -> Sequence[Row]:
        """The labelled training rows."""
        return self._examples

    def predict(self, hidden: Tensor, batch: Batch) -> Tensor:
        """The head's outputs, [rows, outputs]."""
        outputs: Tensor = self.head(batch.inputs.pad(hidden), batch.inputs.mask)
        return outputs

    def features(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Each sequence's first hidden state, [rows, hidden]."""
        return hidden[batch.inputs.starts]

    def probe(self, dropout: float) -> nn.Module:
        """The paper's meta-dev head (RoBERTa's classification head) over first hidden states."""
        size = self._hidden_size
        return nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(size, size),
            nn.Tanh(),
            nn.Dropout(dropout),
            nn.Linear(size, self._outputs),
        )
