"""The cost of a step: passes of the body, copies of its gradient, and activations."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from tartan.batch import Row
from tartan.body import LiftedHead
from tartan.data.stream import Stream
from tartan.masking import logits_chunk
from tartan.objective import Objective, calls_body
from tartan.train.activations import Activations, measure
from tartan.train.setup import Setup
from tartan.weighting import Cost, Needs, Weighting, cost

PROBE_PASSES = 2
"""Forward passes for a dev gradient: one for the probe's features, one to differentiate."""
STEPS_COUNTED = 10_000
"""The most steps of a stage whose needs are counted for the expected cost."""
STEPS_SAMPLED = 4
"""Steps of a stage whose batches the estimate of memory looks at."""
LOGITS = 12
"""Bytes of a logit: float32, its log-probability and their gradient."""


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


def step_activations(
    needs: Collection[Needs],
    readings: Sequence[Reading],
    dev: Sequence[int],
    activations: Activations,
    *,
    packed: bool,
) -> int:
    """Estimate the most bytes of activations that a step holds at once.

    Args:
        needs: what the weighting measures, in steps of any kind.
        readings: the objectives that train.
        dev: lengths of the dev rows that the gradient is taken on; empty without one.
        activations: what a pass of the body keeps.
        packed: whether the body reads packed sequences, so that objectives can share a pass.
    """
    apart = [activations.of(each.all_lengths) + _logits(each) for each in readings]
    found = [*apart, activations.of(dev)]
    if packed and Needs.LOSSES in needs and activations.most is None:  # one backward pass for all
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
    return step_activations(
        needs, readings, dev, measure(model.body, setup.runtime), packed=model.body.packed
    )


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


def step_cost(
    needs: Needs,
    objectives: Sequence[Objective],
    chances: Sequence[float] = (),
    *,
    packed: bool,
    causal: bool = False,
    accumulate: int = 1,
) -> Cost:
    """Compute the cost of a step, except its memory.

    Args:
        needs: what the weighting measures in it.
        objectives: those that train.
        chances: the probability that the step computes each; empty if it computes all.
        packed: whether the body reads packed sequences, so that objectives can share a pass.
        causal: whether it reads all of them left to right, so that causal objectives can too.
        accumulate: micro-batches of each objective.
    """
    likely = list(zip(objectives, chances or [1] * len(objectives), strict=True))
    joined = [needs == Needs.LOSSES and packed and _can_share(o, causal) for o in objectives]
    absent = [1 - chance for (_, chance), shares in zip(likely, joined, strict=True) if shares]
    own = [(o.passes, c) for (o, c), shares in zip(likely, joined, strict=True) if not shares]
    joint = 1 - math.prod(absent)  # without any, the product is 1
    dev = int(Needs.DEV in needs)
    forwards = joint + sum(passes.forward * chance for passes, chance in own)
    backwards = joint + sum(passes.backward * chance for passes, chance in own)
    held = cost(needs, math.ceil(sum(chance for _, chance in likely) - 1e-4))
    return Cost(
        forwards=accumulate * forwards + dev * PROBE_PASSES,
        backwards=accumulate * backwards + dev,
        copies=held.copies,
    )


def expected_cost(
    weighting: Weighting,
    objectives: Sequence[Objective],
    steps: Sequence[int],
    cost_of: Callable[[Needs, Sequence[Objective], Sequence[float]], Cost],
) -> Cost:
    """Compute the mean cost of a stage's steps, except its memory.

    Args:
        weighting: chooses what each step computes; its present `chances` are taken for all steps.
        objectives: those that train.
        steps: the numbers of the stage's steps.
        cost_of: computes the cost of a step from its needs, objectives and chances.
    """
    chances = weighting.chances().tolist()
    due = Counter(map(weighting.due, steps[:STEPS_COUNTED]))
    costs = [(cost_of(needs, objectives, chances), count) for needs, count in due.items()]
    total = max(due.total(), 1)
    return Cost(
        backwards=sum(each.backwards * count for each, count in costs) / total,
        copies=max((each.copies for each, _ in costs), default=1),
        forwards=sum(each.forwards * count for each, count in costs) / total,
        expected=True,
    )


def _can_share(objective: Objective, causal: bool) -> bool:
    """Return whether an objective's pass can be one with those of others."""
    return (objective.passes.shared or causal) and not calls_body(type(objective))
