"""How much memory activations take: in a pass, found by trying short ones, and in a step."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tartan.batch import Row
from tartan.body import Body, LiftedHead
from tartan.data.stream import Stream
from tartan.masking import logits_chunk
from tartan.objective import Objective
from tartan.packed import Packed
from tartan.seeding import seeded
from tartan.train.runtime import Runtime
from tartan.train.setup import Setup
from tartan.weighting import Needs, Weighting

SHORT, LONG, TOKENS = 16, 64, 64
"""Lengths of sequences that are tried, and the least number of tokens."""
STEPS_SAMPLED = 4
"""Steps of a stage whose batches the estimate looks at."""
LOGITS = 12
"""Bytes of a logit: float32, its log-probability and their gradient."""


@dataclass(frozen=True)
class Activations:
    """What the backward pass through a body needs of the forward pass, in bytes.

    Attributes:
        fixed: whatever the sequences, such as weights in another precision.
        token: for each token.
        pair: for each pair of tokens of the same sequence, as attention weights are kept.
        most: the most tokens of a part, where passes are taken in parts.
    """

    fixed: float
    token: float
    pair: float
    most: int | None = None

    def of(self, lengths: Sequence[int]) -> int:
        """Return what a pass over sequences of these lengths keeps at once."""
        if not lengths:
            return 0
        tokens, pairs = sum(lengths), sum(length**2 for length in lengths)
        share = 1.0 if self.most is None else min(1.0, max(self.most, *lengths) / tokens)
        return round(self.fixed + share * (self.token * tokens + self.pair * pairs))


@dataclass(frozen=True)
class Reading:
    """An objective and a large batch of it.

    Attributes:
        objective: the objective.
        lengths: tokens of each sequence that a pass of the body reads.
    """

    objective: Objective
    lengths: Sequence[int]

    @property
    def all_lengths(self) -> list[int]:
        """The lengths of all forward passes that share one backward pass."""
        return [*self.lengths] * self.objective.passes.forward


def measure(body: Body, runtime: Runtime) -> Activations:
    """Return what a body in training mode keeps, as its options and the precision have it.

    Three passes over a few sequences tell what grows with tokens from what grows with pairs.
    """
    long = min(LONG, body.max_length or LONG)
    short = min(SHORT, long)
    tried = [
        _sequences(body, length, tokens)
        for length, tokens in ((short, TOKENS), (short, 2 * TOKENS), (long, 2 * TOKENS))
    ]
    with seeded(0, "activations"), torch.compiler.set_stance("force_eager"):
        found = [kept(body, packed, runtime) for packed in tried]
    sizes = [[1, sum(each.lengths), sum(n * n for n in each.lengths)] for each in tried]
    solution, *_ = np.linalg.lstsq(np.array(sizes), np.array(found), rcond=None)
    fixed, token, pair = (max(0.0, float(part)) for part in solution)
    return Activations(fixed, token, pair, body.max_tokens)


def kept(body: Body, packed: Packed, runtime: Runtime) -> int:
    """Return the bytes that a forward pass keeps besides parameters, each storage once."""
    known = {parameter.untyped_storage().data_ptr() for parameter in body.parameters()}
    found: dict[int, tuple[int, Tensor]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:  # while it is held, no other gets its address
            found[storage.data_ptr()] = storage.nbytes(), tensor.detach()
        return tensor.detach()  # itself, a saved output would keep its pass alive

    training = body.training
    body.train()
    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with (
        runtime.same_weights(body),
        body.one_by_one(),
        runtime.autocast(),
        hooks,
    ):
        hidden = body(packed)
    body.train(training)
    return sum(size for size, _ in found.values()) + int(hidden.nbytes)


def step_activations(
    needs: Collection[Needs],
    readings: Sequence[Reading],
    dev: Sequence[int],
    activations: Activations,
    *,
    reads_packed: bool,
) -> int:
    """Estimate the most bytes of activations that a step holds at once.

    Args:
        needs: what the weighting measures, in steps of any kind.
        readings: the objectives that train.
        dev: lengths of the dev rows that the gradient is taken on; empty without one.
        activations: what a pass of the body keeps.
        reads_packed: whether the body reads packed sequences, so that objectives can share a pass.
    """
    apart = [activations.of(each.all_lengths) + _logits(each) for each in readings]
    found = [*apart, activations.of(dev)]
    if reads_packed and Needs.LOSSES in needs and activations.most is None:
        # One backward pass for all.
        lengths = [length for each in readings for length in each.all_lengths]
        found.append(activations.of(lengths) + sum(map(_logits, readings)))
    return max(found)


def stage_activations(
    setup: Setup, streams: Mapping[str, Stream], weighting: Weighting, first: int
) -> int:
    """Estimate the most bytes of activations that a step of a stage holds.

    Args:
        setup: what is trained.
        streams: the batches of the stage's objectives, by name, the primary first.
        weighting: weighs them.
        first: the number of the stage's first step.
    """
    if setup.ranks.part is not None:  # what a pass gathers would be counted as activations
        return 0
    model, steps = setup.model, range(first, first + STEPS_SAMPLED)
    micro = range(first * setup.accumulate, steps.stop * setup.accumulate)
    read = {name: [_lengths(stream.rows(n)) for n in micro] for name, stream in streams.items()}
    largest = {name: max(batches, key=sum) for name, batches in read.items()}
    dev: Sequence[int] = ()
    if Needs.DEV in weighting.needs:
        probe = weighting.probe
        rows = setup.probed[probe.split]
        dev = _lengths([rows[i] for i in range(min(len(rows), probe.grad_batch_size))])
    primary, *others = streams
    most = math.ceil(weighting.chances().sum().item() - 1e-4)
    others = sorted(others, key=lambda name: -sum(largest[name]))[: max(most - 1, 0)]
    readings = [Reading(model.objective(name), largest[name]) for name in (primary, *others)]
    needs = {weighting.due(step) for step in steps}
    each, packed = measure(model.body, setup.runtime), model.body.reads_packed
    return step_activations(needs, readings, dev, each, reads_packed=packed)


def _sequences(body: Body, length: int, tokens: int) -> Packed:
    """Return sequences of a length, of this many tokens or a few less, on the body's device."""
    lengths = (length,) * (tokens // length)
    return Packed(torch.zeros(sum(lengths), dtype=torch.int64), lengths).to(body.model.device)


def _lengths(rows: Sequence[Row]) -> Sequence[int]:
    """Return the tokens of each row, or of each of its chunks."""
    return [size for row in rows for size in row.get("chunks", [len(row["input_ids"])])]


def _logits(reading: Reading) -> int:
    """Estimate the bytes of logits over the vocabulary that a batch holds at most."""
    head = getattr(reading.objective, "head", None)
    if not isinstance(head, LiftedHead) or not head.predicts_tokens:
        return 0
    tokens = min(sum(reading.lengths), logits_chunk(head.device))
    return LOGITS * tokens * int(head.model.config.vocab_size)
