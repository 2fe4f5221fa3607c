"""The cost of a step: passes of the body, copies of its gradient, and activations."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from tartan.body import LiftedHead
from tartan.masking import logits_chunk
from tartan.objective import Objective, calls_body
from tartan.train.activations import Activations
from tartan.weighting import Cost, Needs, cost

PROBE_PASSES = 2
"""Forward passes for a dev gradient: one for the probe's features, one to differentiate."""


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
        """The same for all passes, which one backward pass goes through."""
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


def _logits(reading: Reading) -> int:
    """Estimate the bytes of logits over the vocabulary that a batch holds at most."""
    head = getattr(reading.objective, "head", None)
    if not isinstance(head, LiftedHead) or not head.predicts_tokens:
        return 0
    parameter = next(head.parameters())
    tokens = min(sum(reading.lengths), logits_chunk(parameter.device))
    return LOGITS * tokens * int(head.model.config.vocab_size)


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
