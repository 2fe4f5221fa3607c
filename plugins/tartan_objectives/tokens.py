"""Token classification: tags of words, scored by the spans that they spell out.

Spans are found and scored as the CoNLL shared tasks do (Tjong Kim Sang and De Meulder, CoNLL 2003).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tartan import (
    Batch,
    ConfigError,
    Context,
    LabelKind,
    Objective,
    Packed,
    PrimaryObjective,
    Row,
    TagScheme,
    hookimpl,
    score_spans,
)


@dataclass
class TokensOptions:
    """Options of `tokens`.

    Attributes:
        scheme: how tags spell out spans: IO, BIO, IOB1, IOE, BIOES, BILOU, BMES or BMEWO; plain
            where each word is scored by itself; auto to detect it.
    """

    scheme: str = "auto"


class Tokens(PrimaryObjective):
    """Cross-entropy over the tags, at each word's first token. Items: the words of a batch."""

    Options = TokensOptions
    reads: ClassVar[LabelKind] = LabelKind.TAGS
    metrics: ClassVar[tuple[str, ...]] = ("f1", "precision", "recall", "accuracy")

    def __init__(self, options: TokensOptions, context: Context) -> None:
        super().__init__(options, context)
        self._outputs, self._hidden_size = len(context.labels), context.hidden_size
        self._examples = context.labelled()
        self._scheme = tag_scheme(options.scheme, context, self._examples)
        context.notice(described(self._scheme))
        self._labels = context.labels
        self.head = context.head("TokenClassification")

    def scoring_options(self) -> dict[str, Any]:
        """Return the scheme that the training rows have."""
        return named_again(self._scheme, self._labels)

    def examples(self) -> Sequence[Row]:
        """Return the labelled training rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:  # noqa: ARG002
        """Collate rows. Targets, [items] int64: `word_starts`, token indices, and `labels`."""
        inputs = Packed.of_rows(rows)
        starts = [0, *accumulate(inputs.lengths)]
        word_starts = [
            start + index
            for start, row in zip(starts, rows, strict=False)
            for index in row["word_starts"]
        ]
        labels = [tag for row in rows for tag in row["label"]]
        targets = {
            "word_starts": torch.tensor(word_starts).long(),
            "labels": torch.tensor(labels).long(),
        }
        inputs = inputs.want(targets["word_starts"])
        return Batch(inputs, len(labels), targets, token_indices=("word_starts",))

    def predict(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Compute logits [items, tags] by the family's own head, one token at a time."""
        logits: Tensor = self.head(self.features(hidden, batch)[None])[0]
        return logits

    def features(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Return the hidden state of each word's first token, [items, hidden]."""
        return hidden[batch.targets["word_starts"]]

    def probe(self, dropout: float) -> nn.Module:
        """Build a linear head, like BERT's and RoBERTa's on tokens."""
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(self._hidden_size, self._outputs))

    def criterion(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Compute the summed cross-entropy of logits [items, tags]."""
        return functional.cross_entropy(outputs.float(), batch.targets["labels"], reduction="sum")

    def score(self, outputs: Tensor, rows: Sequence[Row]) -> dict[str, float]:
        """Compute `f1`, `precision` and `recall` of spans, micro-averaged, and tags' `accuracy`.

        All are 0 to 1, and those of conlleval and seqeval. Words that truncation left without a
        token are not scored.
        """
        expected = [row["label"] for row in rows]
        predicted = [
            ids.tolist() for ids in outputs.argmax(1).split([len(row) for row in expected])
        ]
        correct = sum(
            one == other
            for ids, row in zip(predicted, expected, strict=True)
            for one, other in zip(ids, row, strict=True)
        )
        precision, recall, f1 = score_spans(
            map(self._scheme.spans, predicted), map(self._scheme.spans, expected)
        )
        return {
            "f1": f1,
            "precision": precision,
            "recall": recall,
            "accuracy": correct / max(len(outputs), 1),
        }


def tag_scheme(name: str, context: Context, examples: Sequence[Row]) -> TagScheme:
    """Return the scheme that is named, or with `auto` that of the training rows' tags.

    Raises:
        ConfigError: there is no such scheme, or the tags do not have it.
    """
    if name == "auto":
        rows = (examples[number]["label"] for number in range(len(examples)))
        return TagScheme.find(context.labels, rows)
    try:
        return TagScheme.named(name, context.labels)
    except ConfigError as error:
        raise ConfigError(f"{context.section}.{error}") from error


def named_again(scheme: TagScheme, labels: Sequence[str]) -> dict[str, str]:
    """Return the option `scheme` that reads tags as a scheme does; nothing if none does."""
    try:
        same = TagScheme.named(scheme.name, labels) == scheme
    except ConfigError:
        same = False
    return {"scheme": scheme.name} if same else {}


def described(scheme: TagScheme) -> str:
    """Return in one line how tags are read.

    >>> described(TagScheme.find(["B-PER", "I-PER", "O"]))
    'tag scheme BIO: f1 compares spans'
    """
    if scheme.name == "plain":
        return "tag scheme plain: each word is scored by itself, so that f1 is that of single tags"
    if scheme.other:
        line = f"{', '.join(scheme.other)}: no scheme's tags, read as types of spans"
        return f"tag scheme {scheme.name}: f1 compares spans; {line}"
    if scheme.name == "IO":
        return "tag scheme IO: f1 compares spans, of consecutive words with the same tag"
    return f"tag scheme {scheme.name}: f1 compares spans"


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `tokens`."""
    return {"tokens": Tokens}
