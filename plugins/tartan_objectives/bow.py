"""Bag of words: predict a text's tokens from its first hidden state.

After Ma et al. (Drop your decoder, SIGIR 2024), whose encoder predicts a passage's words from the
vector that stands for it. So the token that classifiers read holds the text's content.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from tartan import (
    Batch,
    Context,
    CorpusOptions,
    Loss,
    Objective,
    Packed,
    Row,
    hookimpl,
    lm_head,
    read_corpora,
)
from tartan import special_tokens as specials_of


class Bow(Objective):
    """Predict the set of a text's tokens from the first token's hidden state. Items: the texts.

    The loss of a text is the mean of -log p(token) over its distinct tokens, special ones left out,
    where p is the softmax of the family's language-model head at the first token, in a decoder at
    the last one. A text without such tokens has loss 0.
    """

    Options = CorpusOptions

    def __init__(self, options: CorpusOptions, context: Context) -> None:
        super().__init__(options, context)
        self._special = set(specials_of(context).tolist())
        self._examples = read_corpora(context, options)
        self.head, self._last = lm_head(context), context.causal

    def examples(self) -> Sequence[Row]:
        """Return the corpus's rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:  # noqa: ARG002
        """Rows unchanged. Targets, for each distinct token of each text, [entries].

        `tokens` int64, `shares` float, 1 / the distinct tokens of its text, and `read` int64, the
        index of the token from whose state it is predicted.
        """
        inputs = Packed.of([row["input_ids"] for row in rows])
        read = inputs.pooled(last=self._last)
        bags = [sorted({*row["input_ids"]} - self._special) for row in rows]
        entries = [
            (token, 1 / len(bag), place)
            for bag, place in zip(bags, read.tolist(), strict=True)
            for token in bag
        ]
        tokens, shares, places = zip(*entries, strict=True) if entries else ((), (), ())
        targets = {
            "tokens": torch.tensor(tokens, dtype=torch.int64),
            "shares": torch.tensor(shares, dtype=torch.float32),
            "read": torch.tensor(places, dtype=torch.int64),
        }
        return Batch(inputs.want(read), len(rows), targets, token_indices=("read",))

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Return the loss summed over texts; metric `accuracy`: the likeliest token is in it."""
        read, tokens = batch.inputs.pooled(last=self._last), batch.targets["tokens"]
        logits = self.head(hidden[read][None]).squeeze(0).float()
        row = torch.searchsorted(read, batch.targets["read"])
        entries = functional.log_softmax(logits, 1)[row, tokens]
        found = (logits.detach().argmax(1)[row] == tokens).sum()
        return Loss(-(entries * batch.targets["shares"]).sum(), {"accuracy": found})


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `bow`."""
    return {"bow": Bow}
