"""Replaced-token detection (ELECTRA: Clark et al., ICLR 2020).

A small generator, trained by masked language modelling, replaces masked tokens by samples. The body
classifies every token as original or replaced.
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
    CorpusOptions,
    Loss,
    ModelError,
    Objective,
    Packed,
    Row,
    check_both_directions,
    check_choice,
    check_ranges,
    choose_tokens,
    hookimpl,
    mask_token,
    read_corpora,
    special_tokens,
)


@dataclass
class RTDOptions(CorpusOptions):
    """Options of `rtd`.

    Attributes:
        mask_prob: share of tokens that are masked, in (0, 1]; special tokens are never masked.
        generator_size: the generator's width as a share of the body's, in (0, 1]; ELECTRA uses 1/4
            to 1/2.
        generator: a pretrained generator with the body's vocabulary instead: a directory, or an id
            on the Hugging Face hub. It is trained further.
        tied: use the body's token embeddings in the generator, as ELECTRA does. Both widths must be
            equal, as in ELECTRA and ALBERT, or in other families with generator_size=1. The
            generator's loss then contributes to this objective's gradient on the body.
        sampling: `gumbel` or `multinomial`: two ways to sample from the same distribution. With
            `multinomial` every step waits for the device.
        discriminator_weight: weight of the discriminator's loss, relative to the generator's.
        generator_weight: weight of the generator's loss, relative to the discriminator's.
    """

    mask_prob: float = 0.15
    generator_size: float = 0.25
    generator: str | None = None
    tied: bool = False
    sampling: str = "gumbel"
    discriminator_weight: float = 50.0
    generator_weight: float = 1.0


class RTD(Objective):
    """Classify tokens as original or replaced. Items: all tokens of a batch, as in ELECTRA.

    The loss is the weighted mean of the discriminator's binary cross-entropies and the generator's
    cross-entropies of masked tokens, the latter divided by `mask_prob`. ELECTRA uses the weighted
    sum, which is 51 times larger and would dominate the other objectives of a run. Divided by the
    items, each part is the paper's mean, except that the expected number of masked tokens replaces
    the sampled one, so that the micro-batches of a step add up to the loss of the whole batch.
    (Special tokens, which are never masked, count as 0 in that mean.)

    The generator belongs to the objective, not to the body: it is not part of gradient inner
    products or of the exported model. The discriminator's head is always new, also for an ELECTRA
    checkpoint. As in the paper, every chosen token is masked, and no gradient flows through the
    samples.
    """

    cost: ClassVar[str] = "one pass of the generator"
    Options = RTDOptions

    def __init__(self, options: RTDOptions, context: Context) -> None:
        super().__init__(options, context)
        _check(options, context.section)
        check_both_directions(context)
        self._options = options
        self._mask_id = mask_token(context)
        self._vocabulary = len(context.tokenizer)
        self._special = special_tokens(context)
        self._examples = read_corpora(context, options)
        self.generator = _generator(options, context)
        size = context.hidden_size
        self.head = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.Linear(size, 1))

    def examples(self) -> Sequence[Row]:
        """Return the corpus's rows."""
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
        """Replace the masks by the generator's samples.

        Adds the targets `replaced` [items] bool, False if the sample equals the original token, and
        `generator_loss` [] float, summed over the masked tokens, with its graph.
        """
        masked, original = batch.targets["masked"], batch.targets["original"]
        logits = self.generator(batch.inputs, masked).float()
        loss = functional.cross_entropy(logits, original[masked], reduction="sum")
        rng = torch.Generator(logits.device).manual_seed(batch.seed)
        # A model may have more logits than the vocabulary has tokens, to round its size up.
        samples = SAMPLERS[self._options.sampling](logits.detach()[:, : self._vocabulary], rng)
        tokens = original.index_copy(0, masked, samples)
        targets = {"replaced": tokens != original, "generator_loss": loss}
        return replace(
            batch,
            inputs=batch.inputs.with_input_ids(tokens),
            targets={**batch.targets, **targets},
        )

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Return the weighted mean of both losses, summed over a prepared batch's items."""
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
    """Sample tokens [rows] int64 from the softmax of logits [rows, tokens], by Gumbel noise."""
    noise = -torch.empty_like(logits).exponential_(generator=rng).log()
    return (logits + noise).argmax(1)


def multinomial(logits: Tensor, rng: torch.Generator) -> Tensor:
    """Sample tokens [rows] int64 from the softmax of logits [rows, tokens] directly."""
    if not len(logits):
        return logits.new_empty(0, dtype=torch.int64)
    return torch.multinomial(logits.softmax(1), 1, generator=rng).squeeze(1)


SAMPLERS: Mapping[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "gumbel": gumbel,
    "multinomial": multinomial,
}


def _generator(options: RTDOptions, context: Context) -> nn.Module:
    """Return the generator, a `tartan.LanguageModel`; errors name the option to change."""
    own = options.generator is None
    key = "generator_size" if own else "generator"
    try:
        return context.masked_lm(
            width=options.generator_size, name=options.generator, tied=options.tied
        )
    except ModelError as error:
        raise ModelError(f"{context.section}.{key}={getattr(options, key)}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{context.section}.tied=true: {error}") from error


def _check(options: RTDOptions, where: str) -> None:
    """Raise ConfigError unless the options' values are valid."""
    check_ranges(where, options, mask_prob="(0, 1]", generator_size="(0, 1]")
    weights = options.discriminator_weight, options.generator_weight
    if min(weights) < 0 or not 0 < sum(weights) < float("inf"):
        raise ConfigError(
            f"{where}.discriminator_weight and generator_weight must be finite, at least "
            f"0 and not both 0, got {weights[0]} and {weights[1]}."
        )
    check_choice(f"{where}.sampling", options.sampling, SAMPLERS)


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `rtd`."""
    return {"rtd": RTD}
