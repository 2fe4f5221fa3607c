"""Regression: predict a number for a text or a pair of texts, scored by r2 and correlations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.stats import pearsonr, rankdata
from sklearn.metrics import r2_score
from torch import Tensor
from torch.nn import functional

from tartan import (
    Batch,
    Context,
    LabelKind,
    Objective,
    Row,
    SequenceObjective,
    Unit,
    hookimpl,
)


@dataclass
class RegressionOptions:
    """`regression` has no options."""


class Regression(SequenceObjective):
    """Squared error of one output on standardised labels. Items: a batch's sequences.

    Training is the same whatever affine unit the labels are in, and the loss begins near 1. Scores
    and the exported model are in the labels' own unit.
    """

    Options = RegressionOptions
    reads: ClassVar[LabelKind] = LabelKind.NUMBER
    metrics: ClassVar[tuple[str, ...]] = ("r2", "pearson", "spearman")

    def __init__(self, options: RegressionOptions, context: Context) -> None:
        unit = Unit.of(row["label"] for row in context.labelled())
        super().__init__(options, context, unit)
        # Without the mean, where the head cannot hold one.
        self._unit: Unit = getattr(self.head, "unit", unit)

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:  # noqa: ARG002
        """Collate rows unchanged. Targets: `labels` [rows] float32, standardised."""
        labels = torch.tensor([self._unit.standardise(row["label"]) for row in rows])
        return Batch(self.inputs(rows), len(rows), {"labels": labels})

    def criterion(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Compute the summed squared error of standardised outputs [rows, 1]."""
        return functional.mse_loss(
            outputs.float().squeeze(1), batch.targets["labels"], reduction="sum"
        )

    def in_label_units(self, outputs: Tensor) -> Tensor:
        """Convert standardised outputs [rows, 1] to the labels' own unit."""
        return self._unit.restore(outputs)

    def score(self, outputs: Tensor, rows: Sequence[Row]) -> dict[str, float]:
        """Compute `r2`, the share of variance explained, and `pearson` and `spearman`, -1 to 1.

        A correlation with constant numbers counts as 0, and so does the `r2` of a single row.
        """
        # A model that has diverged scores badly; it still has a score.
        predicted = outputs.squeeze(1).nan_to_num().double().numpy()
        labels = np.array([row["label"] for row in rows], dtype=np.float64)
        return {
            # First: predictions may correlate perfectly and be far from the labels.
            "r2": float(r2_score(labels, predicted)) if len(labels) > 1 else 0.0,
            "pearson": correlation(labels, predicted),
            "spearman": correlation(rankdata(labels), rankdata(predicted)),
        }


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Compute Pearson's correlation of two float arrays [rows]; 0 if one of them is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(pearsonr(one, other).statistic)


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `regression`."""
    return {"regression": Regression}
