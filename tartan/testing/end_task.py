"""The end task of the tiny world, for auxiliary objectives that use it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tartan.batch import Batch, Row
from tartan.sequence import SequenceObjective


@dataclass
class TinyEndTaskOptions:
    """The tiny end task has no options."""


class TinyEndTask(SequenceObjective):
    """Classification of sequences by cross-entropy."""

    Options = TinyEndTaskOptions
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:  # noqa: ARG002
        """Return the rows unchanged. Targets: `labels` [rows] int64."""
        labels = torch.tensor([row["label"] for row in rows])
        return Batch(self.inputs(rows), len(rows), {"labels": labels})

    def criterion(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the summed cross-entropy of logits [rows, classes]."""
        labels = batch.targets["labels"]
        return functional.cross_entropy(outputs.float(), labels, reduction="sum")

    def score(self, outputs: Tensor, rows: Sequence[Row]) -> dict[str, float]:
        """Return the `accuracy`, 0 to 1."""
        labels = torch.tensor([row["label"] for row in rows])
        return {"accuracy": (outputs.argmax(1) == labels).float().mean().item()}
