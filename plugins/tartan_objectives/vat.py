"""Virtual adversarial training (Miyato et al., TPAMI 2019; arXiv:1704.03976) on token embeddings.

Text has no gradient, so that its embeddings are perturbed: Miyato et al. (ICLR 2017), section 3.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from tartan import (
    Batch,
    Context,
    Encoder,
    Loss,
    Objective,
    Packed,
    Passes,
    Row,
    check_choice,
    check_ranges,
    divergence,
    hookimpl,
)

STEEP = 64.0
"""A slope in float16 from which it can fall to a millionth, or rise a thousandfold."""
SMALLEST = 2.0**-20
"""A divergence below which rounding decides."""
TEXTS = ("task", "domain", "labelled")


@dataclass
class VATOptions:
    """Options of `vat`.

    Attributes:
        texts: the texts to read: `task` or `domain`, unlabelled corpora, or `labelled`, the end
            task's training rows, whose labels are not used.
        epsilon: norm of the perturbation of a sequence, as a share of the norm of its embeddings;
            at least 0.
        xi: norm of the random perturbation from which the power iteration starts, as the same
            share; more than 0.
        iterations: power iterations K, at least 1; the paper uses 1.
    """

    texts: str = "task"
    epsilon: float = 0.1
    xi: float = 0.1
    iterations: int = 1


class VAT(Objective):
    """Divergence of predictions under a virtual adversarial perturbation. Items: the end task's.

    For each sequence x with embeddings e (arXiv:1704.03976, equations 5 to 7 and section 3.3)::

        d    random, of norm 1
        g    gradient by r of KL(p(.|e) || p(.|e + r)) at r = xi * d; then d = g / |g|, K times
        loss KL(p(.|e) || p(.|e + epsilon * d))

    p is the prediction of the end task's own head, which this objective trains too. No gradient
    flows through p(.|e) or d. All passes share one sample of dropout masks, because the power
    iteration assumes a divergence of 0 at r = 0.

    Norms are Euclidean, over a sequence's tokens together. epsilon and xi are shares of |e|: Miyato
    et al. (2017) normalise the embeddings so that larger ones cannot evade it, which would change a
    pre-trained body. Position and segment embeddings are not perturbed.
    """

    Options = VATOptions
    passes = Passes(forward=3, backward=2)
    uses_end_task: ClassVar[bool] = True

    def __init__(self, options: VATOptions, context: Context) -> None:
        super().__init__(options, context)
        _check(options, context.section)
        context.check_embeddings()
        self._options, self._labelled = options, options.texts == "labelled"
        self.passes = Passes(2 + options.iterations, 1 + options.iterations)
        if not self._labelled:
            self.end_task.check_unlabelled(f"{context.section}.texts={options.texts}")
        self._width = context.embedding_size
        self._examples = context.labelled() if self._labelled else context.corpus(options.texts)

    def examples(self) -> Sequence[Row]:
        """Return the corpus's rows, or the end task's training rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Return the end task's batch, with a seed for the random directions."""
        make = self.end_task.collate if self._labelled else self.end_task.unlabelled
        return replace(make(rows, rng), seed=int(torch.randint(2**63 - 1, (), generator=rng)))

    def prepare(self, batch: Batch) -> Batch:
        """Sample a direction for each sequence: target `noise` [tokens, width] float32."""
        batch = self.end_task.prepare(batch)
        tokens = batch.inputs.input_ids
        rng = torch.Generator(tokens.device).manual_seed(batch.seed)
        shape = len(tokens), self._width
        noise = torch.randn(shape, generator=rng, device=tokens.device)
        return replace(batch, targets={**batch.targets, "noise": noise})

    def compute(self, body: Encoder, batch: Batch) -> Loss:
        """Return the divergence under the adversarial perturbation, summed over the items."""
        task, options = self.end_task, self._options

        def predict(embeddings: Tensor) -> Tensor:
            return task.predict(body(batch.inputs, embeddings, view=0), batch)

        embeddings = body.embed(batch.inputs)
        clean = embeddings.detach()
        with torch.no_grad():
            expected = predict(clean)
        gap = partial(divergence, expected, kind=task.reads)
        size = norms(clean, batch.inputs)
        direction = unit(batch.targets["noise"], batch.inputs)
        for _ in range(options.iterations):
            start = options.xi * size * direction
            gradient = ascent(lambda shift: magnified(gap(predict(clean + shift))), start)
            # Where float16 overflows, a sequence has no direction rather than an infinite one.
            direction = unit(gradient.nan_to_num(0.0, 0.0, 0.0), batch.inputs)
        return Loss(gap(predict(embeddings + options.epsilon * size * direction)))


def ascent(function: Callable[[Tensor], Tensor], point: Tensor) -> Tensor:
    """Return the gradient of a function to [] at a point, of the point's shape."""
    with torch.enable_grad():
        point = point.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(function(point), point)
    return gradient


def magnified(value: Tensor) -> Tensor:
    """Return a divergence, [], multiplied so that float16 can hold its gradient, if that is used.

    A divergence D has a gradient by the predictions of at most about sqrt(2 D) (Pinsker's
    inequality): often below what float16 can hold, already before it passes the body. Divided by
    that it is at most about `STEEP`. Elsewhere the divergence is returned as it is.
    """
    kind = value.device.type
    if not (torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) is torch.float16):
        return value
    return value * (STEEP / (2 * value.detach().clamp_min(SMALLEST)).sqrt())


def norms(values: Tensor, packed: Packed) -> Tensor:
    """Return [tokens, 1] float: the Euclidean norm of each token's sequence of values.

    `values` is [tokens, width] float.
    """
    padded = packed.pad(values.float())
    return _of_tokens(torch.linalg.vector_norm(padded, dim=(1, 2), keepdim=True), packed)


def unit(values: Tensor, packed: Packed) -> Tensor:
    """Return values [tokens, width] scaled to norm 1 for each sequence; 0 where they are 0."""
    tiny = torch.finfo(torch.float32).tiny
    # Squares of small values would underflow: divide by each sequence's largest value first.
    largest = packed.pad(values.float()).abs().amax((1, 2), keepdim=True).clamp_min(tiny)
    values = values.float() / _of_tokens(largest, packed)
    return values / norms(values, packed).clamp_min(tiny)


def _of_tokens(of_sequences: Tensor, packed: Packed) -> Tensor:
    """Return [tokens, 1] from a value of each sequence, [sequences, 1, 1]."""
    return packed.unpad(of_sequences.expand(-1, max(packed.lengths), -1))


def _check(options: VATOptions, where: str) -> None:
    """Raise ConfigError unless the options' values are valid."""
    check_choice(f"{where}.texts", options.texts, TEXTS)
    check_ranges(where, options, epsilon="[0, inf)", xi="(0, inf)", iterations="[1, inf)")


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `vat`."""
    return {"vat": VAT}
