"""Masked language modelling (Devlin et al., NAACL 2019, section 3.1), with dynamic masks."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tartan import (
    Batch,
    ConfigError,
    Context,
    Loss,
    Objective,
    Packed,
    Row,
    choose_tokens,
    hookimpl,
    mask_token,
    special_tokens,
    token_loss,
)


@dataclass
class MLMOptions:
    """Options of `mlm`.

    Attributes:
        corpus: the corpus to read: `task`, the end task's texts, or `domain`.
        mask_prob: share of tokens to predict, in (0, 1]; special tokens are never predicted.
        mask_share: share of these that are replaced by the mask token.
        random_share: share of these that are replaced by a random token; the rest are unchanged.
    """

    corpus: str = "task"
    mask_prob: float = 0.15
    mask_share: float = 0.8
    random_share: float = 0.1


class MLM(Objective):
    """Predict masked tokens from both directions. Items: the tokens of a batch to predict."""

    Options = MLMOptions

    def __init__(self, options: MLMOptions, context: Context) -> None:
        super().__init__(options, context)
        _check(options, context.name)
        self._options = options
        self._mask_id = mask_token(context)
        self._vocabulary = len(context.tokenizer)
        self._special = special_tokens(context)
        self._examples = context.corpus(options.corpus)
        self.head = context.head("MaskedLM")

    def examples(self) -> Sequence[Row]:
        """Return the corpus's rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Mask the rows. Targets, [items] int64: `indices` of the masked tokens, and `tokens`."""
        original = Packed.of([row["input_ids"] for row in rows])
        chosen, masked = self._mask(original.input_ids, rng)
        indices = chosen.nonzero().squeeze(1)
        targets = {"indices": indices, "tokens": original.input_ids[indices]}
        inputs = original.with_input_ids(masked).want(indices)
        return Batch(inputs, len(indices), targets, token_indices=("indices",))

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Return the cross-entropy of the tokens to predict, summed."""
        return token_loss(self.head, hidden, batch)

    def _mask(self, tokens: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return a mask of the tokens to predict, and the body's input; [tokens] each."""
        options = self._options
        chosen = choose_tokens(tokens, self._special, options.mask_prob, rng)
        fate = torch.rand(tokens.shape, generator=rng)
        random = torch.randint(self._vocabulary, tokens.shape, generator=rng)
        seen = torch.where(chosen & (fate < options.mask_share), self._mask_id, tokens)
        swap = chosen & (fate >= options.mask_share)
        swap &= fate < options.mask_share + options.random_share
        return chosen, torch.where(swap, random, seen)


def _check(options: MLMOptions, name: str) -> None:
    """Raise ConfigError unless the shares are valid."""
    if not 0 < options.mask_prob <= 1:
        raise ConfigError(
            f"objectives.{name}.mask_prob must be in (0, 1], got {options.mask_prob}."
        )
    if min(options.mask_share, options.random_share) < 0 or (
        options.mask_share + options.random_share > 1
    ):
        raise ConfigError(
            f"objectives.{name}.mask_share and random_share must be at least 0 and sum to at most "
            f"1, got {options.mask_share} and {options.random_share}."
        )


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `mlm`."""
    return {"mlm": MLM}
