"""PCD: the end task's direction, with a little progress for every auxiliary."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tartan import (
    ConfigError,
    GramianWeighting,
    Needs,
    Signals,
    Weighting,
    check_ranges,
    hookimpl,
    minimise,
)

MISSED = 1e-3
"""Share of its progress that an auxiliary may miss where its constraint counts as satisfied."""
ROUNDING = 1e-9
"""What it may miss besides, as a share of the end task's part of the constraint at most."""
SHORTEST = 1e-10
"""Length of the shortest normalised gradient that counts, as a share of the longest."""


@dataclass
class PCDOptions:
    """Options of `pcd`; the defaults are the paper's.

    Attributes:
        tau: the share of its own normalised gradient's progress that each auxiliary makes, 0 to 1.
        beta: decay of the running mean of each gradient's squared norm.
        eps: added to that mean.
    """

    tau: float = 0.02
    beta: float = 0.999
    eps: float = 1e-8


class PCD(GramianWeighting):
    """Priority-constrained descent: nearest to the end task's gradient, auxiliaries permitting.

    With v_i the running mean of |g_i|^2, corrected for its start at 0, and the normalised gradients
    n_i = g_i / sqrt(v_i + eps), the direction is (problem 4)

        d = argmin |d - n_0|^2    subject to    <n_j, d> >= tau |n_j|^2 for every auxiliary j

    rescaled to |g_0|. Its multipliers mu >= 0 minimise the dual, mu'N mu / 2 - b'mu, with N the
    auxiliaries' Gramian and b_j = tau |n_j|^2 - <n_j, n_0>; then d = n_0 + sum_j mu_j n_j. Where no
    direction satisfies all constraints, the update is g_0. At most 12 auxiliaries.
    """

    Options = PCDOptions
    needs: ClassVar[Needs] = Needs.LOSSES | Needs.GRADIENTS
    paper = "Varam and AlHajri, Not all objectives are born equal (PCD), TMLR 2026"
    use = "when the end task comes first and no auxiliary may get worse; for at most 12 auxiliaries"
    end_task_first = True
    squares: Tensor
    steps: Tensor

    def __init__(self, options: PCDOptions, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        check_ranges("weighting", options, tau="[0, 1]", beta="[0, 1)", eps="[0, inf)")
        if len(objectives) > 13:
            raise ConfigError(
                f"weighting=pcd weighs at most 12 auxiliaries, found {len(objectives) - 1}: give "
                "fewer, or weighting=gcs"
            )
        self._options = options
        self.register_buffer("squares", torch.zeros(len(objectives), dtype=torch.float64))
        self.register_buffer("steps", torch.zeros((), dtype=torch.float64))

    def combine(self, signals: Signals) -> Tensor:
        """Return the weights of the direction, [objectives]."""
        assert signals.gramian is not None  # it is in `needs`
        squares, steps = self._means(signals.gramian)
        means = squares / (1 - self._options.beta**steps)
        direction = prioritise(signals.gramian, means + self._options.eps, self._options.tau)
        return direction.to(signals.gramian)

    def update(self, signals: Signals) -> None:
        """Keep the running means, and the step's weights."""
        assert signals.gramian is not None  # it is in `needs`
        self.squares, self.steps = self._means(signals.gramian)
        super().update(signals)

    def _means(self, gramian: Tensor) -> tuple[Tensor, Tensor]:
        squares = gramian.diagonal().to(self.squares)
        mean = self._options.beta * self.squares + (1 - self._options.beta) * squares
        return mean, self.steps + 1


def prioritise(gramian: Tensor, means: Tensor, tau: float) -> Tensor:
    """Return the weights of PCD's direction, [objectives] float64.

    Args:
        gramian: [objectives, objectives] float, the end task first. A gradient whose normalised
            length is less than 1e-10 of the longest counts 0.
        means: [objectives] float64, the mean squared norms; a gradient whose mean is 0 counts 0.
        tau: the share of progress.
    """
    scales = torch.where(means > 0, means.clamp_min(1e-300).rsqrt(), 0)
    squares = gramian.diagonal().double() * scales**2
    scales = torch.where(squares > SHORTEST**2 * squares.max(), scales, 0)
    normal = gramian.double() * torch.outer(scales, scales)
    limits = tau * normal.diagonal()[1:] - normal[1:, 0]
    dual = minimise(normal[1:, 1:], limits) if len(limits) else limits
    # A dual without a minimum stands for constraints that no direction satisfies: whatever the
    # direction, one auxiliary makes no progress, and its constraint is missed by tau |n_j|^2.
    slack = normal[1:, 1:] @ dual - limits
    lengths = normal.diagonal().clamp(min=0).sqrt()
    tolerance = lengths[1:] * (MISSED * tau * lengths[1:] + ROUNDING * lengths[0])
    dual = torch.where((slack >= -tolerance).all(), dual, 0)
    direction = torch.cat([torch.ones_like(scales[:1]), dual])
    square = direction @ normal @ direction
    largest = (direction @ lengths) ** 2
    rounding = 10 * torch.finfo(gramian.dtype).eps * largest
    length = (gramian[0, 0].double() / square.clamp_min(1e-300)).clamp(min=0).sqrt()
    return torch.where(square > rounding, direction * scales * length, 0)


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `pcd`."""
    return {"pcd": PCD}
