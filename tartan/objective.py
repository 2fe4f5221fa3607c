"""Objectives: a training signal on the body, with its own head and its own data."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tartan.batch import Batch, LabelKind, Loss, Row
from tartan.context import Context, Encoder, EndTask


@dataclass(frozen=True)
class Passes:
    """How often an objective runs the body for one micro-batch.

    Attributes:
        forward: passes forward.
        backward: passes backward, those of the loss and those that `compute` makes itself.
        shared: whether the pass can read the sequences of other objectives too. False if its
            batches are `causal`. Ignored where `compute` is overridden: its passes are its own.
    """

    forward: int = 1
    backward: int = 1
    shared: bool = True

    def __str__(self) -> str:
        """The passes in words, for `python -m tartan list`."""
        return f"{self.forward} forward, {self.backward} backward"


def scores_states(objective: "type[Objective]") -> bool:
    """Return whether an objective defines `loss`, from the hidden states of one pass."""
    return objective.loss is not Objective.loss


def calls_body(objective: "type[Objective]") -> bool:
    """Return whether an objective overrides `compute`, and so calls the body itself."""
    return objective.compute is not Objective.compute


class Objective(nn.Module, ABC):
    """One training signal. Its parameters are its head; the body belongs to the run.

    A subclass defines `loss`, which scores the hidden states of one pass of the body, or overrides
    `compute`, which calls the body itself. Where the weighting needs losses only, objectives that
    define `loss` share one pass of the body.
    """

    Options: ClassVar[type]
    """A dataclass of the objective's options with their defaults; unknown options are refused."""
    passes: Passes = Passes()
    """Passes of the body. A class that overrides `compute` declares them; an instance may set its
    own if they depend on its options."""
    cost: ClassVar[str] = ""
    """What a step computes besides these passes, in words, for `python -m tartan list`."""
    required: ClassVar[tuple[str, ...]] = ()
    """Options that have to be set, as no default can serve: contracts need them as well."""
    separable: ClassVar[bool] = True
    """Whether a batch's loss is the sum of its rows' losses; False if rows interact in the loss."""
    uses_end_task: ClassVar[bool] = False
    """Whether the loss uses `end_task`; its parameters then get this objective's gradient too."""

    @classmethod
    def factors(cls, options: Any) -> Mapping[str, str]:  # noqa: ARG003
        """Return what the objective is composed of, by factor; nothing unless overridden.

        A weighting receives it by `Weighting.describe`, and may share weights between objectives
        that have a value in common.
        """
        return {}

    @abstractmethod
    def __init__(self, options: Any, context: Context) -> None:
        """Build the head and find the data. `options` is an instance of `Options`."""
        super().__init__()
        if not (scores_states(type(self)) or calls_body(type(self))):
            raise TypeError(f"{type(self).__name__} must define loss or compute")
        self._end_task = context.end_task if self.uses_end_task else None

    @property
    def end_task(self) -> EndTask:
        """The end task, for objectives that declare `uses_end_task`."""
        if self._end_task is None:
            raise TypeError(f"{type(self).__name__} must declare uses_end_task to use the end task")
        return self._end_task

    @abstractmethod
    def examples(self) -> Sequence[Row]:
        """Return the tokenised rows this objective trains on.

        A row is the same whenever it is read: it is read again in each epoch and after a restart.
        """

    @abstractmethod
    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Return the batch of some rows, on the CPU. All random choices are drawn from `rng`."""

    def prepare(self, batch: Batch) -> Batch:
        """Return the batch as body and loss need it, on the body's device; unchanged by default.

        Work that needs another network belongs here, for example sampling from a generator.
        Random choices here are a function of `batch.seed`.
        """
        return batch

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Return the loss of a prepared batch from the body's hidden states [tokens, hidden]."""
        raise TypeError(f"{type(self).__name__} defines compute only: call that")

    def compute(self, body: Encoder, batch: Batch) -> Loss:
        """Return the loss of a prepared batch, calling the body as often as needed.

        Override it for several passes or for changed input embeddings, and declare `passes`.
        Nothing in it may wait for the device.
        """
        return self.loss(body(batch.inputs), batch)


class PrimaryObjective(Objective):
    """An objective on labels that can be the end task: it predicts, is scored and can be probed.

    Its items are its predictions: sequences, or words of them, in the order of a batch's rows.
    """

    reads: ClassVar[LabelKind] = LabelKind.CLASS
    """The type of its labels."""
    metrics: ClassVar[tuple[str, ...]]
    """The names that `score` returns, the default one for model selection first. Higher is better
    for all of them."""
    head: nn.Module
    """The head that is exported with the body as a Hugging Face model: one of `Context.head`."""

    @abstractmethod
    def predict(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Return the head's outputs [items, ...] for hidden states [tokens, hidden]."""

    @abstractmethod
    def features(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Return a probe's input, [items, hidden], from hidden states [tokens, hidden]."""

    @abstractmethod
    def probe(self, dropout: float) -> nn.Module:
        """Return a new random head from `features` to outputs like those of `predict`."""

    @abstractmethod
    def criterion(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the loss of outputs [items, ...], summed over the batch's items: [] float."""

    @abstractmethod
    def score(self, outputs: Tensor, rows: Sequence[Row]) -> dict[str, float]:
        """Return the metrics, all finite, for the outputs [items, ...] of labelled rows.

        The outputs are float32 on the CPU, as `in_label_units` returns them.
        """

    def choose(self, outputs: Tensor, rows: Sequence[Row]) -> None:
        """Choose what `score` needs and training does not, such as a threshold; nothing by default.

        Called before each `score` of dev, never of test; test is scored with the choice for the
        best model. The choice has to be a function of the arguments, which are those of `score`.
        """

    def exported_settings(self) -> dict[str, Any]:
        """Return what the exported model's config.json holds besides; nothing by default."""
        return {}

    def scoring_options(self) -> dict[str, Any]:
        """Return the options by which `score` works, where training or dev determined them.

        With them, an instance that is built on other rows computes the same metrics.
        """
        return {}

    def in_label_units(self, outputs: Tensor) -> Tensor:
        """Return outputs [items, ...] of `predict` as the exported model gives them.

        They are the same by default. An objective that trains on standardised numbers converts
        them to the labels' own unit.
        """
        return outputs

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Return the criterion of the head's own outputs."""
        return Loss(self.criterion(self.predict(hidden, batch), batch))
