"""Token classification: tags of words, scored by the spans that they spell out.

Spans are found and scored as the CoNLL shared tasks do (Tjong Kim Sang and De Meulder, CoNLL 2003),
by seqscore (Palen-Michel, Holley and Lignos, Eval4NLP 2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import torch
from seqscore.scoring import score_label_sequences
from torch import Tensor, nn
from torch.nn import functional

from tartan import (
    Batch,
    Context,
    LabelKind,
    Objective,
    Packed,
    PrimaryObjective,
    Row,
    hookimpl,
)

SCHEME = {"B": "B", "I": "I", "E": "I", "L": "I", "S": "B", "U": "B"}
"""Begin, inside, end or last, single or unit: BIO, BIOES and BILOU in terms of BIO."""


@dataclass
class TokensOptions:
    """`tokens` has no options."""


class Tokens(PrimaryObjective):
    """Cross-entropy over the tags, at each word's first token. Items: the words of a batch."""

    Options = TokensOptions
    reads: ClassVar[LabelKind] = LabelKind.TAGS
    metrics: ClassVar[tuple[str, ...]] = ("f1", "precision", "recall", "accuracy")

    def __init__(self, options: TokensOptions, context: Context) -> None:
        super().__init__(options, context)
        self._tags = bio(context.labels)
        self._hidden_size = context.hidden_size
        self._examples = context.labelled()
        self.head = context.head("TokenClassification")

    def examples(self) -> Sequence[Row]:
        """The labelled training rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:  # noqa: ARG002
        """Rows unchanged. Targets, [items] int64: `word_starts`, token indices, and `labels`."""
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
        """Logits [items, tags] of the family's own head, which looks at each token by itself."""
        logits: Tensor = self.head(self.features(hidden, batch)[None])[0]
        return logits

    def features(self, hidden: Tensor, batch: Batch) -> Tensor:
        """The hidden state of each word's first token, [items, hidden]."""
        return hidden[batch.targets["word_starts"]]

    def probe(self, dropout: float) -> nn.Module:
        """A linear head, as BERT's and RoBERTa's on tokens are."""
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(self._hidden_size, len(self._tags)))

    def criterion(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Summed cross-entropy of logits [items, tags]."""
        return functional.cross_entropy(outputs.float(), batch.targets["labels"], reduction="sum")

    def score(self, outputs: Tensor, rows: Sequence[Row]) -> dict[str, float]:
        """`f1`, `precision` and `recall` of whole spans, micro-averaged; `accuracy` of tags.

        All are 0 to 1. A span that begins with an inside tag counts as one. Words that a cut has
        left without a token are not scored.
        """
        expected = [row["label"] for row in rows]
        predicted = outputs.argmax(1).split([len(row) for row in expected])
        right = sum(
            (ids == torch.tensor(row)).sum().item()
            for ids, row in zip(predicted, expected, strict=True)
        )
        spans, _ = score_label_sequences(
            [[self._tags[tag] for tag in ids.tolist()] for ids in predicted],
            [[self._tags[tag] for tag in row] for row in expected],
            "BIO",
            repair="conlleval",
        )
        return {
            "f1": spans.f1,
            "precision": spans.precision,
            "recall": spans.recall,
            "accuracy": right / max(len(outputs), 1),
        }


def bio(tags: Sequence[str]) -> list[str]:
    """Tags in the BIO scheme; where they spell out no spans, each stands for a span of one word.

    >>> bio(["O", "B-PER", "E-PER", "S-LOC"])
    ['O', 'B-PER', 'I-PER', 'B-LOC']
    >>> bio(["NOUN", "VERB"])
    ['B-NOUN', 'B-VERB']
    """
    parts = [tag.partition("-") for tag in tags]
    if not all(
        tag == "O" or state in SCHEME for tag, (state, _, _) in zip(tags, parts, strict=True)
    ):
        return [f"B-{tag}" for tag in tags]
    return [
        "O" if tag == "O" else f"{SCHEME[state]}-{name or 'span'}"
        for tag, (state, _, name) in zip(tags, parts, strict=True)
    ]


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `tokens`."""
    return {"tokens": Tokens}
