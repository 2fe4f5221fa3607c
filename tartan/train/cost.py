"""The cost of a step: passes of the body, and copies of its gradient."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from tartan.objective import Objective, calls_body
from tartan.weighting import Cost, Needs, Weighting, cost

PROBE_PASSES = 2
"""Forward passes for a dev gradient: one for the probe's features, one to differentiate."""
STEPS_COUNTED = 10_000
"""The most steps of a stage whose needs are counted for the expected cost."""


def step_cost(
    needs: Needs,
    objectives: Sequence[Objective],
    chances: Sequence[float] = (),
    *,
    reads_packed: bool,
    causal: bool = False,
    accumulate: int = 1,
) -> Cost:
    """Compute the cost of a step, except its memory.

    Args:
        needs: what the weighting measures in it.
        objectives: those that train.
        chances: the probability that the step computes each; empty if it computes all.
        reads_packed: whether the body reads packed sequences, so that objectives can share a pass.
        causal: whether it reads all of them left to right, so that causal objectives can too.
        accumulate: micro-batches of each objective.
    """
    likely = list(zip(objectives, chances or [1] * len(objectives), strict=True))
    joined = [needs == Needs.LOSSES and reads_packed and _can_share(o, causal) for o in objectives]
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
