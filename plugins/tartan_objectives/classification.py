"""Classification of a text or a pair of texts: the end task, scored by macro-F1 and accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor
from torch.nn import functional

from tartan import (
    Batch,
    ConfigError,
    Context,
    Objective,
    Row,
    SequenceObjective,
    check_range,
    check_ranges,
    hookimpl,
)


@dataclass
class ClassificationOptions:
    """Options of `classification`.

    Attributes:
        label_smoothing: share of the target spread over all classes, at least 0 and below 1.
        class_weights: what a row's loss is multiplied by: null for 1; `balanced` for the mean
            number of training rows of a class, divided by that of the row's class; or a map from
            classes to numbers above 0, in which a class that is missing has 1.
        focal_gamma: the exponent of focal loss (Lin et al., ICCV 2017), which multiplies a row's
            loss by (1 - p) ** focal_gamma, p being the probability of its class; 0 for none.
    """

    label_smoothing: float = 0.0
    class_weights: Any = None
    focal_gamma: float = 0.0


class Classification(SequenceObjective):
    """Cross-entropy over the classes. Items: the sequences of a batch."""

    Options = ClassificationOptions
    metrics: ClassVar[tuple[str, ...]] = ("macro_f1", "accuracy")
    _weights: Tensor | None

    def __init__(self, options: ClassificationOptions, context: Context) -> None:
        super().__init__(options, context)
        check_ranges(context.section, options, label_smoothing="[0, 1)", focal_gamma="[0, inf)")
        self._label_smoothing, self._gamma = options.label_smoothing, options.focal_gamma
        weights = class_weights(options.class_weights, context)
        self.register_buffer("_weights", weights, persistent=False)

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:  # noqa: ARG002
        """Collate rows unchanged. Targets: `labels` [rows] int64."""
        labels = torch.tensor([row["label"] for row in rows])
        return Batch(self.inputs(rows), len(rows), {"labels": labels})

    def criterion(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Compute the summed cross-entropy of logits [rows, classes], weighted as options say.

        A sum over rows, not divided by their weights: so an accumulated step has the same mean as
        one large batch.
        """
        logits, labels = outputs.float(), batch.targets["labels"]
        if self._weights is None and not self._gamma:
            return functional.cross_entropy(
                logits, labels, reduction="sum", label_smoothing=self._label_smoothing
            )
        losses = functional.cross_entropy(
            logits, labels, reduction="none", label_smoothing=self._label_smoothing
        )
        if self._weights is not None:
            losses = losses * self._weights[labels]
        if self._gamma:
            losses = losses * focus(logits, labels, self._gamma)
        return losses.sum()

    def score(self, outputs: Tensor, rows: Sequence[Row]) -> dict[str, float]:
        """Compute `macro_f1` over classes that occur or are predicted, and `accuracy`; 0 to 1."""
        predicted = outputs.argmax(1).tolist()
        labels = [row["label"] for row in rows]
        return {
            "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
            "accuracy": float(accuracy_score(labels, predicted)),
        }


def focus(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    """Return (1 - p) ** gamma for the probability p of each row's class.

    Args:
        logits: [rows, classes] float.
        labels: [rows] int64.
        gamma: above 0.

    Returns:
        [rows] float.
    """
    others = logits.log_softmax(1).gather(1, labels[:, None]).squeeze(1).exp().neg().add(1)
    # Its gradient at 0 is infinite for gamma below 1.
    return others.clamp(min=1e-6).pow(gamma)


def class_weights(given: Any, context: Context) -> Tensor | None:
    """Return the weight of each class, [classes] float32; None if all are 1.

    Raises:
        ConfigError: it is not `balanced`, null or a map from classes to positive numbers.
    """
    names = context.labels
    if given is None:
        return None
    if given == "balanced":
        labels = torch.tensor([row["label"] for row in context.labelled()])
        counts = labels.bincount(minlength=len(names)).clamp(min=1)
        return len(labels) / (len(names) * counts.float())
    where = f"{context.section}.class_weights"
    if not isinstance(given, Mapping):
        raise ConfigError(f"{where} must be null, balanced or a map from classes, got {given}")
    by_name = {}
    for key, weight in given.items():
        name = str(key)
        if isinstance(key, bool) and name not in names:
            name = name.lower()  # Hydra reads true and false as booleans
        if name not in names:
            raise ConfigError(f"{where}: no class '{name}': choose from {', '.join(names)}")
        check_range(f"{where}.{name}", weight, "(0, inf)")
        by_name[name] = float(weight)
    return torch.tensor([by_name.get(name, 1.0) for name in names])


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `classification`."""
    return {"classification": Classification}
