"""Classification of a text or a pair of texts: the end task, scored by macro-F1 and accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor
from torch.nn import functional

from tartan import Batch, ConfigError, Context, Objective, Row, SequenceObjective, hookimpl


@dataclass
class ClassificationOptions:
    """Options of `classification`.

    Attributes:
        label_smoothing: share of the target spread over all classes, at least 0 and below 1.
    """

    label_smoothing: float = 0.0


class Classification(SequenceObjective):
    """Cross-entropy over the classes. Items: the sequences of a batch."""

    Options = ClassificationOptions
    metrics: ClassVar[tuple[str, ...]] = ("macro_f1", "accuracy")

    def __init__(self, options: ClassificationOptions, context: Context) -> None:
        super().__init__(options, context)
        if not 0 <= options.label_smoothing < 1:
            raise ConfigError(
                f"{context.name}: label_smoothing must be at least 0 and below 1, got "
                f"{options.label_smoothing}"
            )
        self._label_smoothing = options.label_smoothing

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:  # noqa: ARG002
        """Collate rows unchanged. Targets: `labels` [rows] int64."""
        labels = torch.tensor([row["label"] for row in rows])
        return Batch(self.inputs(rows), len(rows), {"labels": labels})

    def criterion(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Compute the summed cross-entropy of logits [rows, classes]."""
        return functional.cross_entropy(
            outputs.float(),
            batch.targets["labels"],
            reduction="sum",
            label_smoothing=self._label_smoothing,
        )

    def score(self, outputs: Tensor, rows: Sequence[Row]) -> dict[str, float]:
        """Compute `macro_f1` over classes that occur or are predicted, and `accuracy`; 0 to 1."""
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
