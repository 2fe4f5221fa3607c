"""Text classification: the end task, scored by macro-F1 and accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor, nn
from torch.nn import functional

from tartan import Batch, Context, Objective, Packed, PrimaryObjective, Row, hookimpl


@dataclass
class ClassificationOptions:
    """Options of `classification`.

    Attributes:
        label_smoothing: share of the target spread over all classes, at least 0 and below 1.
    """

    label_smoothing: float = 0.0


class Classification(PrimaryObjective):
    """Cross-entropy over the classes. Items: the sequences of a batch."""

    Options = ClassificationOptions
    metrics: ClassVar[tuple[str, ...]] = ("macro_f1", "accuracy")

    def __init__(self, options: ClassificationOptions, context: Context) -> None:
        super().__init__(options, context)
        self._label_smoothing = options.label_smoothing
        self._classes = len(context.labels)
        self._hidden_size = context.hidden_size
        self._examples = context.labelled()
        self.head = context.head("SequenceClassification")

    def examples(self) -> Sequence[Row]:
        """The labelled training rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:  # noqa: ARG002
        """Rows as they are. Targets: `labels` [rows] int64."""
        labels = torch.tensor([row["label"] for row in rows])
        return Batch(Packed.of([row["input_ids"] for row in rows]), len(rows), {"labels": labels})

    def predict(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Logits [rows, classes] of the family's own head."""
        logits: Tensor = self.head(batch.inputs.pad(hidden), batch.inputs.mask)
        return logits

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
            nn.Linear(size, self._classes),
        )

    def criterion(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Summed cross-entropy of logits [rows, classes]."""
        return functional.cross_entropy(
            outputs.float(),
            batch.targets["labels"],
            reduction="sum",
            label_smoothing=self._label_smoothing,
        )

    def score(self, outputs: Tensor, rows: Sequence[Row]) -> dict[str, float]:
        """`macro_f1` over the classes that occur or are predicted, and `accuracy`; 0 to 1."""
        predicted = outputs.argmax(1).tolist()
        labels = [row["label"] for row in rows]
        return {
            "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
            "accuracy": float(accuracy_score(labels, predicted)),
        }


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `classification`."""
    return {"classification": Classification}
