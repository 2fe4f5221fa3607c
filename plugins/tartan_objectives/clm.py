"""Causal language modelling (Radford et al., 2018): predict each token from those before it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tartan import Batch, Context, Loss, Objective, Packed, Row, hookimpl, token_loss


@dataclass
class CLMOptions:
    """Options of `clm`.

    Attributes:
        corpus: what it reads: `task`, the end task's own texts, or `domain`.
    """

    corpus: str = "task"


class CLM(Objective):
    """Predict each token but a sequence's first, left to right. Items: the predicted tokens.

    The body attends to earlier tokens of the same sequence alone here, and both ways in the other
    objectives of the run. The head is the family's MaskedLM head, pre-trained where the checkpoint
    has one. There are logits for every token, [items, vocabulary]: of all objectives this one needs
    the most memory for a batch.
    """

    Options = CLMOptions

    def __init__(self, options: CLMOptions, context: Context) -> None:
        super().__init__(options, context)
        context.check_causal()
        self._examples = context.corpus(options.corpus)
        self.head = context.head("MaskedLM")

    def examples(self) -> Sequence[Row]:
        """The corpus's rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:  # noqa: ARG002
        """Rows unchanged, causal. Targets: `tokens`, and `indices` of the tokens before them."""
        packed = Packed.of([row["input_ids"] for row in rows], causal=True)
        indices = predicting(packed)
        targets = {"indices": indices, "tokens": packed.input_ids[indices + 1]}
        return Batch(packed, len(indices), targets, token_indices=("indices",))

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Cross-entropy of each next token."""
        return token_loss(self.head, hidden, batch)


def predicting(packed: Packed) -> Tensor:
    """Return the indices, [items] int64, of tokens that are not the last of their sequence."""
    followed = torch.ones(len(packed.input_ids), dtype=torch.bool)
    followed[packed.starts[1:] - 1] = False
    followed[-1] = False
    return followed.nonzero().squeeze(1)


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `clm`."""
    return {"clm": CLM}
