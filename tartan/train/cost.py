"""The cost of a step: passes of the body, and copies of its gradient."""

from collections.abc import Sequence
from dataclasses import replace

from tartan.objective import Objective, calls_body
from tartan.weighting import Cost, Needs, cost

PROBE_PASSES = 2
"""Forward passes for a dev gradient: one for the probe's features, one to differentiate."""


def step_cost(
    needs: Needs, objectives: Sequence[Objective], *, packed: bool, accumulate: int = 1
) -> Cost:
    """Compute the cost of a step, except its memory.

    Args:
        needs: what the weighting measures in it.
        objectives: those that train.
        packed: whether the body reads packed sequences, so that objectives can share a pass.
        accumulate: micro-batches of each objective.
    """
    joint = [o for o in objectives if needs == Needs.LOSSES and packed and _can_share(o)]
    own = [objective.passes for objective in objectives if objective not in joint]
    dev = int(Needs.DEV in needs)
    forwards = bool(joint) + sum(passes.forward for passes in own)
    backwards = bool(joint) + sum(passes.backward for passes in own)
    return replace(
        cost(needs, len(objectives)),
        forwards=accumulate * forwards + dev * PROBE_PASSES,
        backwards=accumulate * backwards + dev,
    )


def _can_share(objective: Objective) -> bool:
    """Return whether an objective's pass can be one with those of others."""
    return objective.passes.shared and not calls_body(type(objective))
