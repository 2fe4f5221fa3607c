"""Predict something from a corpus whose tokens are changed and read in an order."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from tartan import (
    Batch,
    Context,
    Loss,
    Objective,
    Packed,
    Passes,
    Row,
    check_both_directions,
    choose_tokens,
    lm_head,
    mask_token,
    read_corpora,
    special_tokens,
    token_loss,
)
from tartan_objectives.composed.options import ComposedOptions, check
from tartan_objectives.composed.order import rows_of, shuffled, sinusoids


class Composed(Objective):
    """One point of AANG's space. Items: the predictions.

    Where the order of attention is not that of the text, tokens are laid out in that order with
    their places in the text, and attend to those before them. With `random` attention and the
    output `next`, as in XLNet (Yang et al., NeurIPS 2019, equation 3), the head is given the place
    of the token to predict, by a linear map of its sinusoids that is added to the hidden state;
    XLNet's second stream, which lets the body see that place, is left out.
    """

    Options = ComposedOptions

    def __init__(self, options: ComposedOptions, context: Context) -> None:
        super().__init__(options, context)
        check(options, context.section)
        self._options = options
        causal = options.attention != "both"
        if options.attention != "left_to_right":
            check_both_directions(context)
        if causal:
            context.check_causal()
        if options.attention in ("right_to_left", "random"):
            context.check_places(backwards=options.attention == "right_to_left")
        self.passes = Passes(shared=not causal)
        masks = options.transform in ("mask", "bert")
        self._mask_id = mask_token(context) if masks else 0
        self._vocabulary = len(context.tokenizer)
        self._special = special_tokens(context)
        self._examples = read_corpora(context, options)
        size = context.hidden_size
        if options.output == "changed":
            self.head: nn.Module = nn.Sequential(
                nn.Linear(size, size), nn.GELU(), nn.Linear(size, 1)
            )
        else:
            self.head = lm_head(context)
        self.place: nn.Linear | None = None
        if options.output == "next" and options.attention == "random":
            self.place = nn.Linear(size, size, bias=False)
            nn.init.zeros_(self.place.weight)

    @classmethod
    def factors(cls, options: ComposedOptions) -> Mapping[str, str]:
        """Return the four choices."""
        names = ("transform", "attention", "output")
        return {"data": str(options.corpus)} | {name: getattr(options, name) for name in names}

    def examples(self) -> Sequence[Row]:
        """Return the corpus's rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Transform the rows and lay them out.

        Targets, [items]: `indices` int64 of tokens, and `tokens` int64 to predict there, and
        `target_places` int64 of these if the head reads them; or `changed` bool, of every token.
        """
        original = Packed.of([row["input_ids"] for row in rows])
        chosen, tokens = self._transform(original, rng)
        order = self._order(original, rng)
        packed = Packed(tokens[order], original.lengths, causal=self._options.attention != "both")
        if self._options.attention in ("right_to_left", "random"):
            packed = Packed(
                packed.input_ids, packed.lengths, causal=True, places=original.positions[order]
            )
        truth = original.input_ids[order]
        if self._options.output == "changed":
            return Batch(packed, len(truth), {"changed": packed.input_ids != truth})
        indices, sources = self._predicted(packed, chosen[order])
        targets = {"indices": indices, "tokens": truth[sources]}
        if self.place is not None:
            targets["target_places"] = packed.positions[sources]
        return Batch(packed.want(indices), len(indices), targets, token_indices=("indices",))

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Return the cross-entropy of what is predicted, summed."""
        if self._options.output == "changed":
            logits = self.head(hidden).squeeze(1).float()
            changed = batch.targets["changed"]
            total = functional.binary_cross_entropy_with_logits(
                logits, changed.float(), reduction="sum"
            )
            return Loss(total, {"accuracy": ((logits > 0) == changed).sum()})
        if self.place is not None:
            told = self.place(sinusoids(batch.targets["target_places"], hidden.shape[1]))
            hidden = hidden.index_add(0, batch.targets["indices"], told.to(hidden))
        return token_loss(self.head, hidden, batch)

    def _transform(self, packed: Packed, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return a mask of the chosen tokens, and the changed tokens; [tokens] each."""
        tokens, transform = packed.input_ids, self._options.transform
        if transform == "none":
            return torch.zeros_like(tokens, dtype=torch.bool), tokens
        chosen = choose_tokens(tokens, self._special, self._options.share, rng)
        if transform == "shuffle":
            return chosen, shuffled(packed, chosen, rng)
        if transform == "mask":
            return chosen, torch.where(chosen, self._mask_id, tokens)
        fate = torch.rand(tokens.shape, generator=rng)
        random = torch.randint(self._vocabulary, tokens.shape, generator=rng)
        if transform == "replace":
            return chosen, torch.where(chosen, random, tokens)
        seen = torch.where(chosen & (fate < 0.8), self._mask_id, tokens)
        return chosen, torch.where(chosen & (fate >= 0.8) & (fate < 0.9), random, seen)

    def _order(self, packed: Packed, rng: torch.Generator) -> Tensor:
        """Return the indices of the tokens in the order they are laid out, [tokens] int64."""
        row = rows_of(packed)
        if self._options.attention == "right_to_left":
            return torch.argsort(row * len(row) - packed.positions)
        if self._options.attention == "random":
            return torch.argsort(row + torch.rand(len(row), generator=rng, dtype=torch.float64))
        return torch.arange(len(row))

    def _predicted(self, packed: Packed, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the indices of tokens that predict, and of those they predict; [items] int64."""
        if self._options.output == "next":
            row = rows_of(packed)
            indices = (row[:-1] == row[1:]).nonzero().squeeze(1)
            return indices, indices + 1
        all_ = torch.ones_like(chosen) if self._options.output == "all" else chosen
        indices = all_.nonzero().squeeze(1)
        return indices, indices
