"""Multi-label classification: a text or a pair of texts has any number of labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve
from torch import Tensor
from torch.nn import functional

from tartan import (
    Batch,
    Context,
    LabelKind,
    Objective,
    Row,
    SequenceObjective,
    check_range,
    check_ranges,
    hookimpl,
)


@dataclass
class MultilabelOptions:
    """Options of `multilabel`.

    Attributes:
        threshold: the probability from which on a label is predicted; null chooses the one with the
            best micro-F1 on dev, at each evaluation.
        positive_weight: what the loss of a label that a row has is multiplied by, more than 0;
            `balanced` takes the number of rows without the label, divided by that of rows with it,
            each counted as 1 at least.
    """

    threshold: float | None = None
    positive_weight: Any = 1.0


class Multilabel(SequenceObjective):
    """Binary cross-entropy, the mean over the labels. Items: the sequences of a batch.

    The loss is that of Hugging Face's models for `multi_label_classification`. One threshold serves
    all labels. It is chosen on dev, where F1 is therefore slightly optimistic; test is scored with
    the threshold of the best model, which config.json of the exported model holds.
    """

    Options = MultilabelOptions
    reads: ClassVar[LabelKind] = LabelKind.SETS
    metrics: ClassVar[tuple[str, ...]] = ("micro_f1", "macro_f1", "average_precision")
    _weight: Tensor

    def __init__(self, options: MultilabelOptions, context: Context) -> None:
        super().__init__(options, context)
        check_ranges(context.section, options, threshold="(0, 1) or null")
        self._given = options.threshold
        self._threshold = 0.5 if options.threshold is None else options.threshold
        weight = positive_weights(options.positive_weight, context)
        self.register_buffer("_weight", weight, persistent=False)

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:  # noqa: ARG002
        """Collate rows unchanged. Targets: `labels` [rows, labels] float32, 1 for those it has."""
        return Batch(self.inputs(rows), len(rows), {"labels": indicators(rows, self._outputs)})

    def criterion(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Compute the binary cross-entropy of logits [rows, labels], summed over the rows."""
        labels = batch.targets["labels"]
        losses = functional.binary_cross_entropy_with_logits(
            outputs.float(), labels, reduction="none", pos_weight=self._weight
        )
        return losses.mean(1).sum()

    def choose(self, outputs: Tensor, rows: Sequence[Row]) -> None:
        """Choose the threshold with the best micro-F1, unless an option gives it."""
        if self._given is None:
            labels = indicators(rows, self._outputs).numpy()
            self._threshold = best_threshold(probabilities(outputs), labels)

    def exported_settings(self) -> dict[str, Any]:
        """Return the threshold."""
        return {"threshold": self._threshold}

    def scoring_options(self) -> dict[str, Any]:
        """Return the threshold."""
        return {"threshold": self._threshold}

    def score(self, outputs: Tensor, rows: Sequence[Row]) -> dict[str, float]:
        """Compute `micro_f1`, `macro_f1` and `average_precision`, 0 to 1.

        `macro_f1` is the mean over the labels that occur or are predicted. `average_precision` is
        the mean over the labels that occur, and needs no threshold; without any, it is 0.
        """
        labels, found = indicators(rows, self._outputs).numpy(), probabilities(outputs)
        predicted = found >= self._threshold
        seen = (labels.sum(0) > 0) | predicted.any(0)
        present = labels.sum(0) > 0
        macro = f1_score(labels, predicted, average=None, zero_division=0)[seen]
        ranked = [
            average_precision_score(labels[:, n], found[:, n]) for n in np.flatnonzero(present)
        ]
        return {
            "micro_f1": float(f1_score(labels, predicted, average="micro", zero_division=0)),
            "macro_f1": float(macro.mean()) if len(macro) else 0.0,
            "average_precision": float(np.mean(ranked)) if ranked else 0.0,
        }


def indicators(rows: Sequence[Row], labels: int) -> Tensor:
    """Return [rows, labels] float32, 1 where a row has a label."""
    found = torch.zeros(len(rows), labels)
    for number, row in enumerate(rows):
        found[number, row["label"]] = 1.0
    return found


def probabilities(outputs: Tensor) -> np.ndarray:
    """Return the probabilities [rows, labels] float32 of logits; logits that are NaN count as 0."""
    found: np.ndarray = outputs.float().nan_to_num().sigmoid().numpy()
    return found


def best_threshold(found: np.ndarray, labels: np.ndarray) -> float:
    """Return the threshold in (0, 1) with the best micro-F1; of several the nearest to 0.5.

    Args:
        found: [rows, labels] float, probabilities.
        labels: [rows, labels], 1 where a row has a label.

    Returns:
        The threshold; 0.5 if no row has a label, or all probabilities are 0.

    >>> best_threshold(np.array([[0.1, 0.3], [0.2, 0.4]]), np.array([[0, 1], [0, 1]]))
    0.25
    """
    if not labels.any() or not found.any():
        return 0.5
    precision, recall, cuts = precision_recall_curve(labels.ravel(), found.ravel())
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)[:-1]
    # Between a probability that is predicted and the largest that is not: robust to rounding.
    below = np.concatenate([[0.0], cuts[:-1]])
    middles = (cuts.astype(np.float64) + below) / 2
    f1[cuts == 0] = -1  # a threshold of 0 predicts everything, and is not a valid option
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    index = best[np.abs(middles[best] - 0.5).argmin()]
    middle = float(middles[index])
    return rounded if below[index] < (rounded := round(middle, 6)) < cuts[index] else middle


def positive_weights(given: Any, context: Context) -> Tensor:
    """Return the weight of each label where it is present, [labels] float32.

    Raises:
        ConfigError: it is neither a positive number nor `balanced`.
    """
    check_range(f"{context.section}.positive_weight", given, "(0, inf) or balanced")
    count = len(context.labels)
    if given == "balanced":
        positive, rows = torch.zeros(count), context.labelled()
        for row in rows:
            positive[row["label"]] += 1
        return (len(rows) - positive).clamp(min=1) / positive.clamp(min=1)
    return torch.full((count,), float(given))


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `multilabel`."""
    return {"multilabel": Multilabel}
