"""A bandit over objectives: each step computes few, by learned probabilities.

After online data mixing (ODM: Albalak et al., 2023, arXiv:2312.02406, algorithm 1), which samples
domains of a corpus by Exp3 (Auer et al., 2002).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tartan import Needs, Signals, Weighting, check_ranges, hookimpl

EPS = 1e-8
"""Smallest loss that counts."""
LARGEST = 1e4
"""Largest reward, so that sums stay finite."""


@dataclass
class BanditOptions:
    """Options of `bandit`.

    Attributes:
        sampled: auxiliary objectives that a step computes, besides the end task.
        momentum: share of the old estimate when a reward is added, in [0, 1).
    """

    sampled: int = 1
    momentum: float = 0.9


class Bandit(Weighting):
    """Sample few auxiliary objectives for each step, the more often the more they have to learn.

    The end task is computed in each step. For K auxiliaries, step t and their rewards R (ODM,
    algorithm 1), the exploration rate and the probabilities are

        e_t = min(1 / K, sqrt(ln K / (K t))),    p = (1 - K e_t) softmax(e_{t-1} R) + e_t

    A step computes `sampled` of them, each with the chance c_i, which is proportional to p_i and at
    most 1. The reward of one that was computed moves to its loss: R_i = m R_i + (1 - m) l_i / c_i.
    ODM samples corpora of one loss; here l_i is the loss relative to the objective's first, so that
    losses of different kinds can be compared. Losses include an objective's `schedule`: one that
    rises or falls over the run makes the objective seem to have more or less to learn. All
    objectives of a step count alike.
    """

    Options = BanditOptions
    needs: ClassVar[Needs] = Needs.LOSSES
    paper = "Albalak et al., Efficient online data mixing, 2023"
    use = "for many auxiliaries: a step computes `sampled` of them, whatever their number"
    rewards: Tensor
    first: Tensor
    steps: Tensor

    def __init__(self, options: BanditOptions, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        check_ranges("weighting", options, sampled="[1, inf)", momentum="[0, 1)")
        self._options, count = options, len(objectives)
        self._sampled = min(options.sampled, count - 1)
        self.register_buffer("rewards", torch.zeros(count - 1))
        self.register_buffer("first", torch.zeros(count - 1))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def active(self, step: int, rng: torch.Generator) -> Sequence[int] | None:  # noqa: ARG002
        """Sample the auxiliaries of a step by their chances; the end task is always computed."""
        chosen = systematic(self.chances()[1:].double().cpu(), rng)
        return [0, *(index + 1 for index in chosen)]

    def chances(self) -> Tensor:
        """Return the chances, [objectives]: 1 for the end task, else proportional to p."""
        chances = inclusion(probabilities(self.rewards, self.steps), self._sampled)
        return torch.cat([chances.new_ones(1), chances])

    def weights(self) -> Tensor:
        """Return the mean weights, [objectives]; their sum is 1."""
        return self.chances() / (1 + self._sampled)

    def applied(self, active: Tensor) -> Tensor:
        """Return equal weights of the step's objectives, [objectives]."""
        return active / active.sum()

    def update(self, signals: Signals) -> None:
        """Move the rewards of the auxiliaries that were computed."""
        if signals.active is None:  # a step of a loop that computes all
            active = torch.ones_like(self.rewards, dtype=torch.bool)
            chances = torch.ones_like(self.rewards)
        else:
            active, chances = signals.active[1:], self.chances()[1:]
        losses = signals.losses[1:].to(self.rewards)
        active = active & (losses > 0)  # 0 is the loss of a batch without items
        self.first = torch.where(active & (self.first == 0), losses, self.first)
        relative = losses / self.first.clamp(min=EPS)
        reward = (relative / chances).clamp(max=LARGEST)
        moved = torch.lerp(reward, self.rewards, self._options.momentum)
        self.rewards = torch.where(active, moved, self.rewards)
        self.steps = self.steps + 1


def probabilities(rewards: Tensor, steps: Tensor) -> Tensor:
    """Return ODM's probabilities, [n], from rewards, [n], after a number of steps, [] int64."""
    count = len(rewards)
    if not count:
        return rewards
    before, now = exploration(count, steps), exploration(count, steps + 1)
    return (1 - count * now) * (before * rewards).softmax(0) + now


def exploration(count: int, step: Tensor) -> Tensor:
    """Return the exploration rate of step number `step`, [] int64 from 1, for `count` arms: []."""
    rate = (math.log(count) / (count * step.clamp(min=1))).sqrt()
    return rate.clamp(max=1 / count)


def inclusion(probabilities: Tensor, sampled: int) -> Tensor:
    """Return chances, [n], proportional to probabilities, [n], at most 1, whose sum is `sampled`.

    Those that would be above 1 become 1, and the others share what is left; n rounds suffice.
    """
    chances = probabilities * sampled
    for _ in range(len(probabilities)):
        full = chances >= 1
        left = (sampled - full.sum()).clamp(min=0)
        rest = probabilities.masked_fill(full, 0)
        chances = torch.where(full, 1.0, rest * left / rest.sum().clamp(min=EPS))
    return chances


def systematic(chances: Tensor, rng: torch.Generator) -> list[int]:
    """Sample indices with the given chances, [n] float64, whose sum is an integer k: k indices.

    Systematic sampling (Madow, 1949) in random order: one uniform number u, and every index at
    whose chance the cumulative sum passes one of u, u + 1, u + 2, ...
    """
    order = torch.randperm(len(chances), generator=rng)
    start = torch.rand((), generator=rng, dtype=torch.float64)
    count = round(chances.sum().item())
    ends = chances[order].cumsum(0)
    found = torch.searchsorted(ends, start + torch.arange(count, dtype=torch.float64), right=True)
    # A sum that rounding left below k may end before the last points: they have their own places.
    last = torch.arange(len(chances) - count, len(chances))
    return sorted(order[found.minimum(last)].tolist())


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `bandit`."""
    return {"bandit": Bandit}
