"""Masked language modelling (Devlin et al., NAACL 2019, section 3.1), with dynamic masks.

Of tokens, of whole words, or of spans of words (SpanBERT: Joshi et al., TACL 2020, section 3.1,
without its span boundary objective).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tartan import (
    Batch,
    ConfigError,
    Context,
    CorpusOptions,
    Loss,
    Objective,
    Packed,
    Row,
    SpanLengths,
    WordStarts,
    check_both_directions,
    check_choice,
    check_ranges,
    choose_spans,
    choose_tokens,
    choose_words,
    hookimpl,
    mask_token,
    read_corpora,
    special_tokens,
    token_loss,
)

MASKINGS = ("token", "word", "span")


@dataclass
class MLMOptions(CorpusOptions):
    """Options of `mlm`.

    Attributes:
        masking: the units that are masked: `token`, `word` (all tokens of a word, or none) or
            `span` (of words). The tokenizer has to mark where words begin.
        mask_prob: expected share of tokens to predict, in (0, 1]; special tokens are never
            predicted.
        span_p: parameter of the geometric distribution of the lengths of spans, in (0, 1].
        span_max: the longest span, in words.
        mask_share: share of these that are replaced by the mask token.
        random_share: share of these that are replaced by a random token; the rest are unchanged.
            With `span`, a span's tokens are replaced alike.
    """

    masking: str = "token"
    mask_prob: float = 0.15
    span_p: float = 0.2
    span_max: int = 10
    mask_share: float = 0.8
    random_share: float = 0.1


class MLM(Objective):
    """Predict masked tokens from both directions. Items: the tokens of a batch to predict."""

    Options = MLMOptions

    def __init__(self, options: MLMOptions, context: Context) -> None:
        super().__init__(options, context)
        _check(options, context.section)
        check_both_directions(context)
        self._options = options
        self._mask_id = mask_token(context)
        self._vocabulary = len(context.tokenizer)
        self._special = special_tokens(context)
        self._word_starts = None if options.masking == "token" else WordStarts(context)
        self._examples = read_corpora(context, options)
        self.head = context.head("MaskedLM")

    def examples(self) -> Sequence[Row]:
        """Return the corpus's rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Mask the rows. Targets, [items] int64: `indices` of the masked tokens, and `tokens`."""
        original = Packed.of([row["input_ids"] for row in rows])
        chosen, masked = self._mask(original, rng)
        indices = chosen.nonzero().squeeze(1)
        targets = {"indices": indices, "tokens": original.input_ids[indices]}
        inputs = original.with_input_ids(masked).want(indices)
        return Batch(inputs, len(indices), targets, token_indices=("indices",))

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Return the cross-entropy of the tokens to predict, summed."""
        return token_loss(self.head, hidden, batch)

    def _mask(self, packed: Packed, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return a mask of the tokens to predict, and the body's input; [tokens] each."""
        options, tokens = self._options, packed.input_ids
        chosen, unit = self._choose(packed, rng)
        fate = torch.rand(tokens.shape, generator=rng)
        fate = fate if unit is None else fate[unit]
        random = torch.randint(self._vocabulary, tokens.shape, generator=rng)
        seen = torch.where(chosen & (fate < options.mask_share), self._mask_id, tokens)
        swap = chosen & (fate >= options.mask_share)
        swap &= fate < options.mask_share + options.random_share
        return chosen, torch.where(swap, random, seen)

    def _choose(self, packed: Packed, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Return a mask of the tokens to predict, [tokens] bool, and the span of each, if any.

        Spans are [tokens] int64, below the number of tokens.
        """
        options, tokens = self._options, packed.input_ids
        if self._word_starts is None:
            return choose_tokens(tokens, self._special, options.mask_prob, rng), None
        starts = self._word_starts(packed)
        if options.masking == "word":
            return choose_words(tokens, starts, self._special, options.mask_prob, rng), None
        row = torch.repeat_interleave(torch.tensor(packed.lengths))
        word = starts.cumsum(0) - 1
        word -= word[packed.starts][row]  # counted from the start of the sequence
        words = torch.bincount(row, weights=starts).long()
        lengths = SpanLengths(options.span_p, options.span_max)
        masked, span = choose_spans(words, lengths, options.mask_prob, rng)
        chosen = masked[row, word] & ~torch.isin(tokens, self._special)
        # Different in all sequences, as a sequence has at most as many spans as tokens.
        return chosen, packed.starts[row] + span[row, word]


def _check(options: MLMOptions, where: str) -> None:
    """Raise ConfigError unless the options' values are valid."""
    check_choice(f"{where}.masking", options.masking, MASKINGS)
    check_ranges(where, options, span_p="(0, 1]", span_max="[1, inf)", mask_prob="(0, 1]")
    if min(options.mask_share, options.random_share) < 0 or (
        options.mask_share + options.random_share > 1
    ):
        raise ConfigError(
            f"{where}.mask_share and random_share must be at least 0 and sum to at most "
            f"1, got {options.mask_share} and {options.random_share}."
        )


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `mlm`."""
    return {"mlm": MLM}
