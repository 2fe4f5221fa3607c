"""Replaced-token detection (ELECTRA: Clark et al., ICLR 2020).

A small generator, trained by masked language modelling, fills masked tokens with samples; the body
tells for every token whether it is the text's own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tartan import (
    Batch,
    ConfigError,
    Context,
    Loss,
    ModelError,
    Objective,
    Packed,
    Row,
    choose_tokens,
    hookimpl,
    mask_token,
    special_tokens,
    suggest,
)


@dataclass
class RTDOptions:
    """Options of `rtd`.

    Attributes:
        corpus: what it reads: `task`, the end task's own texts, or `domain`.
        mask_prob: share of tokens that the generator fills in; special tokens are never among them.
        generator_size: the generator's width as a share of the body's, more than 0 and at most 1;
            ELECTRA has 1/4 to 1/2.
        generator: a pretrained generator with the body's vocabulary instead: a directory, or an id
            on the Hugging Face hub. It goes on training.
        tied: whether the generator's token embeddings are the body's own, as ELECTRA's are. Their
            widths must be equal: those of ELECTRA and ALBERT are, of other families with
            generator_size=1. The generator's loss then moves the body's embeddings, and counts
            among this objective's gradients on the body.
        sampling: `gumbel` or `multinomial`: two ways to draw from the same distribution, of which
            only the first lets a step go on without waiting for the device.
        discriminator_weight: what the discriminator's loss counts against the generator's.
        generator_weight: what the generator's loss counts against the discriminator's.
    """

    corpus: str = "task"
    mask_prob: float = 0.15
    generator_size: float = 0.25
    generator: str | None = None
    tied: bool = False
    sampling: str = "gumbel"
    discriminator_weight: float = 50.0
    generator_weight: float = 1.0


class RTD(Objective):
    """Tell replaced tokens from original ones. Items: all tokens of a batch, as in ELECTRA.

    The loss is the weighted mean of the discriminator's binary cross-entropies and, divided by
    `mask_prob`, the generator's cross-entropies of masked tokens. ELECTRA's is their weighted sum,
    51 times as much: beside other objectives it would drown them before a weighting could tell what
    it is good for. Each part divided by the items is the paper's mean, but for the number of masked
    tokens, which is taken as expected, not as drawn, so that the micro-batches of a step add up to
    the whole batch's loss. (Special tokens, never masked, count in that mean as 0.)

    The generator belongs to the objective, not to the body: it enters neither inner products of
    gradients nor the exported model. The discriminator's head is new also where the checkpoint is
    an ELECTRA's. As in the paper every chosen token becomes a mask; no gradient passes the samples.
    """

    cost: ClassVar[str] = "one pass of the body over its batch, one of the generator"
    Options = RTDOptions

    def __init__(self, options: RTDOptions, context: Context) -> None:
        super().__init__(options, context)
        _check(options, context.name)
        self._options = options
        self._mask_id = mask_token(context)
        self._vocabulary = len(context.tokenizer)
        self._special = special_tokens(context)
        self._examples = context.corpus(options.corpus)
        self.generator = _generator(options, context)
        size = context.hidden_size
        self.head = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.Linear(size, 1))

    def examples(self) -> Sequence[Row]:
        """The corpus's rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Mask the rows.

        Targets: `masked` [masked] int64, the masked tokens' indices; `original` [items] int64.
        """
        packed = Packed.of([row["input_ids"] for row in rows])
        original = packed.input_ids
        masked = choose_tokens(original, self._special, self._options.mask_prob, rng)
        return Batch(
            packed.with_input_ids(original.masked_fill(masked, self._mask_id)),
            len(original),
            {"masked": masked.nonzero().squeeze(1), "original": original},
            seed=int(torch.randint(2**63 - 1, (), generator=rng)),
            token_indices=("masked",),
        )

    def prepare(self, batch: Batch) -> Batch:
        """Fill the masks with the generator's samples.

        Further targets: `replaced` [items] bool, False also where a sample is the original token;
        `generator_loss` [] float, summed over the masked tokens, with its graph.
        """
        masked, original = batch.targets["masked"], batch.targets["original"]
        logits = self.generator(batch.inputs, masked).float()
        loss = functional.cross_entropy(logits, original[masked], reduction="sum")
        rng = torch.Generator(logits.device).manual_seed(batch.seed)
        # A model may have logits beyond the vocabulary, to round its size up.
        samples = SAMPLERS[self._options.sampling](logits.detach()[:, : self._vocabulary], rng)
        tokens = original.index_copy(0, masked, samples)
        targets = {"replaced": tokens != original, "generator_loss": loss}
        return replace(
            batch,
            inputs=batch.inputs.with_input_ids(tokens),
            targets={**batch.targets, **targets},
        )

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """The weighted mean of both losses, over a prepared batch."""
        replaced = batch.targets["replaced"]
        logits = self.head(hidden).squeeze(1).float()
        found = functional.binary_cross_entropy_with_logits(
            logits, replaced.float(), reduction="sum"
        )
        filled = batch.targets["generator_loss"] / self._options.mask_prob
        weights = self._options.discriminator_weight, self._options.generator_weight
        total = (weights[0] * found + weights[1] * filled) / sum(weights)
        metrics = {
            "accuracy": ((logits > 0) == replaced).sum(),
            "replaced": replaced.sum(),
            "discriminator_loss": found.detach(),
            "generator_loss": filled.detach(),
        }
        return Loss(total, metrics)


def gumbel(logits: Tensor, rng: torch.Generator) -> Tensor:
    """Tokens [rows] int64 drawn from the softmax of logits [rows, tokens], by Gumbel noise."""
    noise = -torch.empty_like(logits).exponential_(generator=rng).log()
    return (logits + noise).argmax(1)


def multinomial(logits: Tensor, rng: torch.Generator) -> Tensor:
    """Tokens [rows] int64 drawn from the softmax of logits [rows, tokens], by probability."""
    if not len(logits):
        return logits.new_empty(0, dtype=torch.int64)
    return torch.multinomial(logits.softmax(1), 1, generator=rng).squeeze(1)


SAMPLERS: Mapping[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "gumbel": gumbel,
    "multinomial": multinomial,
}


def _generator(options: RTDOptions, context: Context) -> nn.Module:
    """The generator, called as `tartan.LanguageModel` says; errors name the option to change."""
    own = options.generator is None
    key = "generator_size" if own else "generator"
    try:
        return context.masked_lm(
            width=options.generator_size, name=options.generator, tied=options.tied
        )
    except ModelError as error:
        raise ModelError(
            f"objectives.{context.name}.{key}={getattr(options, key)}: {error}"
        ) from error
    except ConfigError as error:
        raise ConfigError(f"objectives.{context.name}.tied=true: {error}") from error


def _check(options: RTDOptions, name: str) -> None:
    """ConfigError where a value has no meaning."""
    for share in ("mask_prob", "generator_size"):
        value = getattr(options, share)
        if not 0 < value <= 1:
            raise ConfigError(
                f"objectives.{name}.{share} is {value}: give more than 0 and at most 1"
            )
    weights = options.discriminator_weight, options.generator_weight
    if min(weights) < 0 or not 0 < sum(weights) < float("inf"):
        raise ConfigError(
            f"objectives.{name}.discriminator_weight and generator_weight are {weights[0]} and "
            f"{weights[1]}: give at least 0, finite, and not 0 for both"
        )
    if options.sampling not in SAMPLERS:
        raise ConfigError(
            f"objectives.{name}.sampling={options.sampling}: {suggest(options.sampling, SAMPLERS)}"
        )


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `rtd`."""
    return {"rtd": RTD}
