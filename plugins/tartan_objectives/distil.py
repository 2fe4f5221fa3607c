"""Distillation of a teacher's class probabilities (Hinton et al., 2015, arXiv:1503.02531)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tartan import (
    Batch,
    ConfigError,
    Context,
    LabelKind,
    Loss,
    ModelError,
    Objective,
    Row,
    check_choice,
    check_ranges,
    hookimpl,
)

TEXTS = ("task", "domain", "labelled")


@dataclass
class DistilOptions:
    """Options of `distil`.

    Attributes:
        teacher: a classification model with the end task's classes, by name, and the body's
            vocabulary: a directory, or an id on the Hugging Face hub. It must be set.
        texts: the texts to read: `task` or `domain`, unlabelled corpora, or `labelled`, the end
            task's training rows, whose labels are not used.
        temperature: divisor of both models' logits, more than 0.
    """

    teacher: str = ""
    texts: str = "task"
    temperature: float = 2.0


class Distil(Objective):
    """Predict as a teacher does. Items: the sequences of a batch.

    With logits v of the teacher, z of the end task's own head and temperature T, the loss of a
    sequence is ::

        T^2 KL(softmax(v / T) || softmax(z / T))

    whose gradient is that of the paper's cross-entropy with soft targets (section 2.1); the factor
    T^2 keeps it of the same size for all T. This objective trains the end task's head too. The
    teacher is frozen and in evaluation mode; its files are part of the run's identity, and it is
    in no checkpoint and no exported model.
    """

    cost: ClassVar[str] = "one forward pass of the teacher"
    Options = DistilOptions
    uses_end_task: ClassVar[bool] = True
    required: ClassVar[tuple[str, ...]] = ("teacher",)

    def __init__(self, options: DistilOptions, context: Context) -> None:
        super().__init__(options, context)
        where = context.section
        _check(options, where)
        if self.end_task.reads is not LabelKind.CLASS:
            raise ConfigError(
                f"{where} predicts classes, and the end task's labels are "
                f"{self.end_task.reads.value}: leave it out, or choose primary=classification."
            )
        self._temperature, self._labelled = options.temperature, options.texts == "labelled"
        if not self._labelled:
            self.end_task.check_unlabelled(f"{where}.texts={options.texts}")
        self._examples = context.labelled() if self._labelled else context.corpus(options.texts)
        try:
            self.teacher = context.teacher(options.teacher)
        except ModelError as error:
            reason = str(error).removeprefix(f"model.name={options.teacher}: ")
            raise ModelError(f"{where}.teacher={options.teacher}: {reason}") from error

    def examples(self) -> Sequence[Row]:
        """Return the corpus's rows, or the end task's training rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Return the end task's batch of the rows."""
        make = self.end_task.collate if self._labelled else self.end_task.unlabelled
        return make(rows, rng)

    def prepare(self, batch: Batch) -> Batch:
        """Add the target `teacher` [rows, classes] float32: the teacher's logits."""
        batch = self.end_task.prepare(batch)
        logits = self.teacher(batch.inputs)
        return replace(batch, targets={**batch.targets, "teacher": logits})

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Return the divergence summed over sequences; metric `agreement`: the same class."""
        expected, logits = batch.targets["teacher"], self.end_task.predict(hidden, batch).float()
        agreement = (logits.detach().argmax(1) == expected.argmax(1)).sum()
        return Loss(soft_loss(expected, logits, self._temperature), {"agreement": agreement})


def soft_loss(expected: Tensor, logits: Tensor, temperature: float) -> Tensor:
    """Return T^2 KL(softmax(expected / T) || softmax(logits / T)) summed over rows, [].

    Both are logits, [rows, classes] float.
    """
    divergence = functional.kl_div(
        (logits / temperature).log_softmax(1),
        (expected / temperature).log_softmax(1),
        reduction="sum",
        log_target=True,
    )
    return temperature**2 * divergence


def _check(options: DistilOptions, where: str) -> None:
    """Raise ConfigError unless the options' values are valid."""
    if not options.teacher:
        raise ConfigError(
            f"{where}.teacher must be set: a directory with a classification model of the end "
            "task's classes, for example the model/ of an earlier run."
        )
    check_choice(f"{where}.texts", options.texts, TEXTS)
    check_ranges(where, options, temperature="(0, inf)")


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `distil`."""
    return {"distil": Distil}
