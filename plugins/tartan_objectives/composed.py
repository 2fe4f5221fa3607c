"""Objectives composed of data, transform, attention and output (AANG: Dery et al., ICLR 2023).

arXiv:2205.14082, section 3. An objective reads a corpus, changes some of its tokens, reads the
result in an order, and predicts something from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from tartan import (
    Batch,
    ConfigError,
    Context,
    CorpusOptions,
    Loss,
    Objective,
    Packed,
    Passes,
    Row,
    check_both_directions,
    choose_tokens,
    hookimpl,
    lm_head,
    mask_token,
    read_corpora,
    special_tokens,
    suggest,
    token_loss,
)

TRANSFORMS = ("none", "mask", "replace", "bert", "shuffle")
ATTENTIONS = ("both", "left_to_right", "right_to_left", "random")
OUTPUTS = ("original", "all", "next", "changed")


@dataclass
class ComposedOptions(CorpusOptions):
    """Options of `composed`; the defaults are BERT's masked language modelling.

    Attributes:
        transform: what is done to the chosen tokens: `none`; `mask`, replaced by the mask token;
            `replace`, by random tokens; `bert`, 80 % masked, 10 % replaced, 10 % unchanged; or
            `shuffle`, permuted among themselves within each text.
        share: share of tokens that are chosen, in (0, 1]; special tokens never are.
        attention: the tokens that a token attends to: `both`, all of its text; `left_to_right`,
            earlier ones; `right_to_left`, later ones; or `random`, those before it in an order of
            the text that each batch samples again.
        output: what is predicted: `original`, the original tokens at the chosen places; `all`, the
            original tokens at all places; `next`, each next token in the order of attention; or
            `changed`, which tokens differ from the original.
    """

    transform: str = "bert"
    share: float = 0.15
    attention: str = "both"
    output: str = "original"


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
        check(options, context.name)
        self._options = options
        causal = options.attention != "both"
        if options.attention != "left_to_right":
            check_both_directions(context)
        if causal:
            context.check_causal()
        if options.attention in ("right_to_left", "random"):
            context.check_places()
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


def rows_of(packed: Packed) -> Tensor:
    """Return the number of each token's sequence, [tokens] int64."""
    lengths = torch.tensor(packed.lengths)
    return torch.arange(len(lengths)).repeat_interleave(lengths)


def shuffled(packed: Packed, chosen: Tensor, rng: torch.Generator) -> Tensor:
    """Return the tokens, [tokens], the chosen ones permuted within each sequence."""
    places = chosen.nonzero().squeeze(1)
    noise = torch.rand(len(places), generator=rng, dtype=torch.float64)
    order = torch.argsort(rows_of(packed)[places] + noise)
    return packed.input_ids.index_copy(0, places, packed.input_ids[places[order]])


def sinusoids(places: Tensor, size: int) -> Tensor:
    """Return the features [n, size] float of places, [n] int64 (Vaswani et al., 2017, 3.5)."""
    exponents = torch.arange(0, size, 2, device=places.device) / size
    angles = places[:, None] / 10_000**exponents
    return torch.cat([angles.sin(), angles.cos()], 1)[:, :size]


def illegal(transform: str, attention: str, output: str) -> str | None:
    """Return why a combination has no meaning; None if it has one."""
    if transform == "none" and output != "next":
        return f"nothing is changed, so output={output} has nothing to predict: set output=next"
    if output == "next" and attention == "both":
        return "each token sees the next one: set attention=left_to_right, right_to_left or random"
    if output == "next" and transform == "shuffle":
        return "the next token may have been shuffled before this one: set another transform"
    if output == "changed" and transform in ("mask", "bert"):
        return "a mask token tells that it was changed: set transform=replace or shuffle"
    return None


def check(options: ComposedOptions, name: str) -> None:
    """Raise ConfigError unless the options' values are valid together."""
    where = f"objectives.{name}"
    choices = {"transform": TRANSFORMS, "attention": ATTENTIONS, "output": OUTPUTS}
    for key, valid in choices.items():
        if (value := getattr(options, key)) not in valid:
            raise ConfigError(f"{where}.{key}={value}: {suggest(value, valid)}")
    if not 0 < options.share <= 1:
        raise ConfigError(f"{where}.share must be in (0, 1], got {options.share}.")
    reason = illegal(options.transform, options.attention, options.output)
    if reason is not None:
        raise ConfigError(
            f"{where}: transform={options.transform}, attention={options.attention} and "
            f"output={options.output} cannot be combined: {reason}."
        )


@dataclass
class ShuffledOptions(CorpusOptions):
    """Options of `shuffled`.

    Attributes:
        share: share of tokens that are shuffled, in (0, 1]; special tokens never are.
    """

    share: float = 0.15


class Shuffled(Composed):
    """Detect shuffled tokens (Panda et al., EMNLP 2021). Items: all tokens.

    15 % of a text's tokens are permuted among themselves, and each token is classified as moved or
    not. It is `composed` with transform=shuffle, attention=both and output=changed; unlike `rtd` it
    needs no generator.
    """

    Options = ShuffledOptions  # type: ignore[assignment]  # fewer options than its base

    def __init__(self, options: ShuffledOptions, context: Context) -> None:
        super().__init__(composed(options), context)

    @classmethod
    def factors(cls, options: ShuffledOptions) -> Mapping[str, str]:  # type: ignore[override]
        """Return the four choices."""
        return Composed.factors(composed(options))


def composed(options: ShuffledOptions) -> ComposedOptions:
    """Return the options of `composed` that `shuffled` stands for."""
    return ComposedOptions(
        options.corpus, options.mix_temperature, "shuffle", options.share, "both", "changed"
    )


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `composed` and `shuffled`."""
    return {"composed": Composed, "shuffled": Shuffled}
