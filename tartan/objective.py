"""What an objective is: one training signal on the body, with its own head and its own data."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from tartan.packed import Packed

Row = Mapping[str, Any]
"""One tokenised example: `input_ids` (list of int); `token_type_ids` (list of int) where it is a
pair of texts and the body tells them apart; where it is labelled, `label`, as `LabelKind` says."""


class LabelKind(Enum):
    """What a labelled row's `label` is."""

    CLASS = "classes"
    """int, the id of a class."""
    NUMBER = "numbers"
    """float."""
    TAGS = "tags"
    """list of int, the id of each word's tag; the row's `positions` (list of int) say where among
    its tokens each of these words begins. Words that a cut leaves no token of are in neither."""


@dataclass(frozen=True)
class Batch:
    """What one objective reads in one pass of the body.

    Attributes:
        inputs: the sequences; with `wanted`, where not all hidden states are read.
        items: how many items the loss sums over, known before the loss is computed, so that
            micro-batches of an accumulated step add up to exactly the whole batch's mean.
        targets: what the loss compares with, by name. Batches are laid end to end by their targets'
            first dimensions, over tokens, sequences or items; `positions` are places among the
            batch's tokens, and move along; targets without a dimension are sums, and add up.
        seed: for random choices that are made on the device, in `prepare`; drawn in `collate`.
    """

    inputs: Packed
    items: int
    targets: Mapping[str, Tensor] = field(default_factory=dict)
    seed: int = 0

    def pin(self) -> Self:
        """The same batch in host memory that an accelerator copies from without anybody waiting."""
        targets = {name: value.pin_memory() for name, value in self.targets.items()}
        return replace(self, inputs=self.inputs.pin(), targets=targets)

    def to(self, device: torch.device) -> Self:
        """The same batch on a device."""
        queued = device.type == "cuda"  # what uses it there comes later
        targets = {
            name: value.to(device, non_blocking=queued) for name, value in self.targets.items()
        }
        return replace(self, inputs=self.inputs.to(device), targets=targets)


class Head(Protocol):
    """A Hugging Face head without its body."""

    def __call__(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits from hidden states [rows, tokens, hidden] and their mask [rows, tokens]."""


class MaskedLM(Protocol):
    """A masked language model apart from the body."""

    def __call__(self, packed: Packed, positions: Tensor) -> Tensor:
        """Logits [positions, vocabulary] at positions [positions] int64, each once, of tokens."""


class Context(Protocol):
    """What an objective is built from. It reaches training data only: never dev, never test."""

    @property
    def name(self) -> str:
        """The objective's own name in this run: `tapt`, say, where the plugin is `mlm`."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The body's tokenizer."""

    @property
    def hidden_size(self) -> int:
        """The width of the body's hidden states."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What `label` stands for: the names of classes or tags by id; for numbers, one name."""

    def labelled(self) -> Sequence[Row]:
        """The task's training rows, tokenised and with their `label`.

        The task is the end task, or for an auxiliary objective on labels, the one it was given.
        """

    def corpus(self, name: str) -> Sequence[Row]:
        """An unlabelled corpus, tokenised: `input_ids`. DataError if the data has none of it."""

    def head(self, kind: str) -> nn.Module:
        """The family's own Hugging Face head, pre-trained where the checkpoint has one.

        Args:
            kind: as in the names of Hugging Face's classes: `MaskedLM`, `SequenceClassification`.
                A head for classes, tags or a number has one output for each of `labels`.

        Returns:
            A module called as `Head` says. ModelError if the family has no such head.
        """

    def masked_lm(
        self, *, width: float = 1.0, name: str | None = None, tied: bool = False
    ) -> nn.Module:
        """A masked language model of the objective's own, over the body's vocabulary.

        Args:
            width: hidden width as a share of the body's, of a model of its family with random
                weights.
            name: a pretrained model instead: a directory, or an id on the Hugging Face hub.
            tied: whether its token embeddings are the body's very own; ConfigError if their shapes
                differ.

        Returns:
            A module called as `MaskedLM` says. ModelError if there is no such model, or its
            vocabulary is not the body's.
        """

    def check_causal(self) -> None:
        """ModelError unless the body can read sequences that are `causal`."""


@dataclass(frozen=True)
class Loss:
    """A loss summed over a batch's items.

    Attributes:
        total: [] float, the sum (not the mean) over `batch.items` items.
        metrics: further sums over the same items, logged as means; they carry no gradient.
    """

    total: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


class Objective(nn.Module, ABC):
    """One training signal. Its parameters are its head; the body belongs to the run."""

    cost: ClassVar[str] = "one pass of the body over its batch"
    """What a step of it computes, in words, for `python -m tartan list`."""
    Options: ClassVar[type]
    """A dataclass of the objective's options with their defaults; unknown options are refused."""
    separable: ClassVar[bool] = True
    """Whether a batch's loss is the sum of its rows' losses; False where rows meet in the loss."""

    @abstractmethod
    def __init__(self, options: Any, context: Context) -> None:
        """Build the head and find the data. `options` is an instance of `Options`."""
        super().__init__()

    @abstractmethod
    def examples(self) -> Sequence[Row]:
        """The tokenised rows this objective trains on."""

    @abstractmethod
    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Rows to a batch on the CPU. All random choices (masks, say) are drawn from `rng`."""

    def prepare(self, batch: Batch) -> Batch:
        """The batch as body and `loss` are to see it, on the body's device; as it is by default.

        What takes a pass of a network to know belongs here: a generator's replaced tokens, say.
        Random choices here follow from `batch.seed`.
        """
        return batch

    @abstractmethod
    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Score the body's hidden states [tokens, hidden] of a prepared batch's inputs."""


class PrimaryObjective(Objective):
    """An objective on labels, which can be the end task: it predicts, is scored, can be probed.

    Its items are what it predicts: sequences, or words of them, in the order of a batch's rows.
    """

    reads: ClassVar[LabelKind] = LabelKind.CLASS
    """The kind of its labels."""
    metrics: ClassVar[tuple[str, ...]]
    """The names that `score` gives, the one to go by first; of each, more is better."""
    head: nn.Module
    """The head that is exported with the body as a Hugging Face model."""

    @abstractmethod
    def predict(self, hidden: Tensor, batch: Batch) -> Tensor:
        """The head's outputs [items, ...] from hidden states [tokens, hidden]."""

    @abstractmethod
    def features(self, hidden: Tensor, batch: Batch) -> Tensor:
        """What a probe reads, [items, hidden], from hidden states [tokens, hidden]."""

    @abstractmethod
    def probe(self, dropout: float) -> nn.Module:
        """A fresh head from `features` to outputs like those of `predict`, randomly initialised."""

    @abstractmethod
    def criterion(self, outputs: Tensor, batch: Batch) -> Tensor:
        """[] float: the loss of outputs [items, ...] summed over the batch's items."""

    @abstractmethod
    def score(self, outputs: Tensor, rows: Sequence[Row]) -> dict[str, float]:
        """The task's metrics, all finite, from the outputs [items, ...] for labelled rows."""

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """The criterion of the head's own outputs."""
        return Loss(self.criterion(self.predict(hidden, batch), batch))
