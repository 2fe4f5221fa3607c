"""The interfaces that an objective is given: its context, heads, the body and the end task."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from tartan.batch import Batch, LabelKind, Row
from tartan.packed import Packed
from tartan.unit import Unit


class Head(Protocol):
    """A Hugging Face head without its body."""

    def __call__(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return logits for hidden states [rows, tokens, hidden] and mask [rows, tokens] bool."""


class LanguageModel(Protocol):
    """A masked language model with a body of its own."""

    def __call__(self, packed: Packed, indices: Tensor) -> Tensor:
        """Return logits [items, vocabulary] at tokens' indices, [items] int64, each once."""


class Classifier(Protocol):
    """A classification model with a body of its own."""

    def __call__(self, packed: Packed) -> Tensor:
        """Return logits [sequences, classes] float32, the classes in the order of their ids."""


class Encoder(Protocol):
    """The body as `Objective.compute` receives it.

    Every pass samples its own dropout masks, as a function of the run's seed, the objective's name,
    the micro-batch's number and the pass's number.
    """

    def embed(self, packed: Packed) -> Tensor:
        """Return the token embeddings, [tokens, width] float: the input of the body's first layer.

        Position and segment embeddings are not included; the body adds them. `width` is the width
        of the embeddings, which in some families is not that of the hidden states.
        """

    def __call__(
        self, packed: Packed, embeddings: Tensor | None = None, *, view: int | None = None
    ) -> Tensor:
        """Run the body and return hidden states [tokens, hidden] float.

        Args:
            packed: the sequences.
            embeddings: [tokens, width] float, used instead of `embed(packed)`. Gradients flow to
                them. Check `Context.check_embeddings` when the objective is built.
            view: passes with the same number use the same dropout masks, and so does a head that
                is called after each of them. By default each pass has its own.
        """


class EndTask(Protocol):
    """The end task as an auxiliary objective may use it.

    Its parameters stay the end task's: they are saved and exported once. An objective that uses
    them trains them too, with its own weight.
    """

    @property
    def reads(self) -> LabelKind:
        """The type of the end task's labels."""

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Return the end task's batch of labelled rows, on the CPU."""

    def unlabelled(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Return a batch of rows without labels, on the CPU, for `predict` only.

        Raises:
            ConfigError: if the end task labels words: rows without labels do not mark words.
        """

    def check_unlabelled(self, option: str) -> None:
        """Raise ConfigError if the end task's head cannot predict rows of a corpus.

        Those are single texts in which no words are marked.

        Args:
            option: the one that chose them, with its value; `labelled` must be another value of it.
        """

    def prepare(self, batch: Batch) -> Batch:
        """Return the batch as the end task's own `prepare` does, on the body's device."""

    def predict(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Return the head's outputs [items, ...] for hidden states [tokens, hidden]."""

    def criterion(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the end task's loss of outputs [items, ...], summed over the items: [] float."""

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return the end task's own parameters."""


class Context(Protocol):
    """What an objective is built from. It gives access to training data only, never dev or test."""

    @property
    def name(self) -> str:
        """The objective's name in this run: for example `tapt`, an instance of the plugin `mlm`."""

    @property
    def section(self) -> str:
        """Where its options are in the configuration: `primary`, or `objectives.NAME`."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The body's tokenizer."""

    @property
    def hidden_size(self) -> int:
        """The width of the body's hidden states."""

    @property
    def embedding_size(self) -> int:
        """The width of the body's token embeddings."""

    @property
    def causal(self) -> bool:
        """True if the body is a decoder: each token reads itself and earlier tokens only."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of classes or tags, by id; for numbers, one name."""

    @property
    def end_task(self) -> EndTask:
        """The end task, for auxiliary objectives that use its head: see `Objective.end_task`.

        Raises:
            ConfigError: if the objective is the end task itself.
        """

    def labelled(self) -> Sequence[Row]:
        """Return the task's training rows, tokenised and with their `label`.

        The task is the end task or, for an auxiliary objective on labels, the one it was given.
        """

    def corpus(self, name: str) -> Sequence[Row]:
        """Return an unlabelled corpus, tokenised: `input_ids`. DataError if it does not exist."""

    def head(self, kind: str, *, unit: Unit | None = None) -> nn.Module:
        """Return the family's own Hugging Face head, pre-trained if the checkpoint has one.

        Args:
            kind: the suffix of Hugging Face's class: `MaskedLM`, `SequenceClassification`. A head
                for classes, tags or a number has one output for each of `labels`. Its outputs are
                float32, whatever the precision of the body.
            unit: standardises the labels, where they are numbers: outputs are standardised too,
                and those of the exported model are in the labels' own unit. The
                head's `unit` is the one in use: `unit.uncentred` where it has no bias.

        Returns:
            A module with the signature of `Head`.

        Raises:
            ModelError: if the family has no such head, or none whose outputs can be standardised.
        """

    def masked_lm(
        self, *, width: float = 1.0, name: str | None = None, tied: bool = False
    ) -> nn.Module:
        """Return a masked language model of the objective's own, over the body's vocabulary.

        Args:
            width: hidden width as a share of the body's, for a model of its family with random
                weights.
            name: a pretrained model instead: a directory, or an id on the Hugging Face hub.
            tied: use the body's own token embeddings.

        Returns:
            A module with the signature of `LanguageModel`.

        Raises:
            ModelError: if there is no such model, or its vocabulary differs from the body's.
            ConfigError: if embeddings to be tied differ in shape.
        """

    def teacher(self, name: str) -> nn.Module:
        """Return a frozen classification model whose classes have the names of `labels`.

        Args:
            name: a directory, or an id on the Hugging Face hub.

        Returns:
            A module with the signature of `Classifier`. It has no parameters and no state.

        Raises:
            ModelError: if there is no such model, or its vocabulary differs from the body's or its
                classes from `labels`.
        """

    def notice(self, line: str) -> None:
        """Print a line before training starts."""

    def check_causal(self) -> None:
        """Raise ModelError unless the body can read sequences that are `causal`."""

    def check_places(self, *, backwards: bool = False) -> None:
        """Raise ModelError unless the body can read sequences with `places`, in another order.

        `backwards`: the only other order that is used; more families can read it than any order.
        """

    def check_embeddings(self) -> None:
        """Raise ModelError unless the body can read token embeddings instead of token ids."""
