"""Regression of a number on a text or a pair of texts, scored by the variance it explains."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.stats import pearsonr, rankdata
from sklearn.metrics import r2_score
from torch import Tensor, nn
from torch.nn import functional

from tartan import (
    Batch,
    Context,
    LabelKind,
    Objective,
    Row,
    SequenceObjective,
    hookimpl,
)


@dataclass
class RegressionOptions:
    """`regression` has no options."""


class Regression(SequenceObjective):
    """Squared error of one output, in units of the labels' variance. Items: a batch's sequences.

    So the loss begins near 1 whatever unit the labels are in, as fits a sum with other objectives'.
    """

    Options = RegressionOptions
    reads: ClassVar[LabelKind] = LabelKind.NUMBER
    metrics: ClassVar[tuple[str, ...]] = ("r2", "pearson", "spearman")

    def __init__(self, options: RegressionOptions, context: Context) -> None:
        super().__init__(options, context)
        labels = np.array([row["label"] for row in self.examples()], dtype=np.float64)
        self._mean, self._variance = float(labels.mean()), float(labels.var()) or 1.0
        centre(self.head, self._mean)

    def probe(self, dropout: float) -> nn.Module:
        """As for any sequence, but its outputs begin at the labels' mean, as the head's do."""
        return centre(super().probe(dropout), self._mean)

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:  # noqa: ARG002
        """Rows as they are. Targets: `labels` [rows] float32."""
        labels = torch.tensor([row["label"] for row in rows], dtype=torch.float32)
        return Batch(self.inputs(rows), len(rows), {"labels": labels})

    def criterion(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Summed squared error of outputs [rows, 1], over the variance of the training labels."""
        error = functional.mse_loss(
            outputs.float().squeeze(1), batch.targets["labels"], reduction="sum"
        )
        return error / self._variance

    def score(self, outputs: Tensor, rows: Sequence[Row]) -> dict[str, float]:
        """`r2`, the share of variance explained, up to 1; `pearson` and `spearman`, -1 to 1.

        A correlation with what does not vary is taken as 0, and so is the `r2` of a single row.
        """
        # A model that has diverged is to score badly, not to be without a score.
        predicted = outputs.squeeze(1).nan_to_num().double().numpy()
        labels = np.array([row["label"] for row in rows], dtype=np.float64)
        return {
            # First: a model can correlate perfectly and be far from right in the labels' own unit.
            "r2": float(r2_score(labels, predicted)) if len(labels) > 1 else 0.0,
            "pearson": correlation(labels, predicted),
            "spearman": correlation(rankdata(labels), rankdata(predicted)),
        }


def centre(head: nn.Module, mean: float) -> nn.Module:
    """Have a new head begin at the labels' mean; it returns the head.

    From 0 it would first learn the mean, through the body: small bodies then saturate, and predict
    it for good. A head that is pre-trained has a bias that is not 0, and keeps it.
    """
    for module in head.modules():
        if isinstance(module, nn.Linear) and module.out_features == 1 and module.bias is not None:
            with torch.no_grad():
                module.bias.masked_fill_(module.bias == 0, mean)
    return head


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation of two float arrays [rows]; 0 where one of them does not vary."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(pearsonr(one, other).statistic)


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `regression`."""
    return {"regression": Regression}
