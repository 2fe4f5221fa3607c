"""Causal language modelling (Radford et al., 2018): predict each token from those before it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tartan import (
    Batch,
    Context,
    CorpusOptions,
    Loss,
    Objective,
    Packed,
    Passes,
    Row,
    hookimpl,
    lm_head,
    read_corpora,
    token_loss,
)


class CLM(Objective):
    """Predict each token of a sequence except the first, left to right. Items: these tokens.

    The body attends only to earlier tokens of the same sequence here; an encoder attends in both
    directions for the run's other objectives. The head is the family's language-model head, a
    decoder's CausalLM or an encoder's MaskedLM, pre-trained if the checkpoint has one. Nearly every
    token is predicted, which takes more time and memory than with other objectives.
    """

    Options = CorpusOptions
    passes = Passes(shared=False)

    def __init__(self, options: CorpusOptions, context: Context) -> None:
        super().__init__(options, context)
        context.check_causal()
        self._examples = read_corpora(context, options)
        self.head = lm_head(context)

    def examples(self) -> Sequence[Row]:
        """Return the corpus's rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:  # noqa: ARG002
        """Rows unchanged, causal. Targets: `tokens`, and `indices` of the tokens before them."""
        packed = Packed.of([row["input_ids"] for row in rows], causal=True)
        indices = predicting(packed)
        targets = {"indices": indices, "tokens": packed.input_ids[indices + 1]}
        return Batch(packed, len(indices), targets, token_indices=("indices",))

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Return the cross-entropy of the next tokens, summed."""
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
