"""One step ahead: the weights whose update lowers the dev loss most (Wang et al., 2024)."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from tartan import (
    ConfigError,
    GramianWeighting,
    Needs,
    ProbeOptions,
    Signals,
    Weighting,
    check_ranges,
    hookimpl,
    minimise,
)


@dataclass
class LookaheadOptions:
    """Options of `lookahead`.

    Attributes:
        eta: length of the step looked ahead, in units in which the end task's gradient and the dev
            gradient have length 1. The larger, the more the weights spread.
        momentum: share of the last weights that is kept, between 0 and 1.
        probe: how the dev gradient is taken.
    """

    eta: float = 1.0
    momentum: float = 0.0
    probe: ProbeOptions = field(default_factory=ProbeOptions)


class Lookahead(GramianWeighting):
    """The weights on the simplex that promise the largest fall of the dev loss in one step.

    A step with weights w moves the body by -eta sum_i w_i g_i. To second order, with the identity
    for the Hessian, the dev loss falls by eta times

        w'a - eta/2 w'Gw,    a_i = <g_dev, g_i>,  G_ij = <g_i, g_j>

    which is maximised over w >= 0 with sum 1, exactly (the criterion by which GREATS chooses
    examples, equation 5, for objectives). a is divided by |g_dev| |g_0| and G by |g_0|^2, so that
    eta has no unit. At most 12 objectives.
    """

    Options = LookaheadOptions
    needs: ClassVar[Needs] = Needs.LOSSES | Needs.GRADIENTS | Needs.DEV
    paper = "after Wang et al., GREATS, NeurIPS 2024"
    use = (
        "when dev data is plentiful, and redundant auxiliaries should share their weight; for at "
        "most 12 objectives"
    )
    end_task_first = True

    def __init__(self, options: LookaheadOptions, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        check_ranges("weighting", options, eta="(0, inf)", momentum="[0, 1)")
        if len(objectives) > 12:
            raise ConfigError(
                f"weighting=lookahead weighs at most 12 objectives, found {len(objectives)}: "
                "give fewer, or weighting=meta_factored"
            )
        self._options = options

    @property
    def probe(self) -> ProbeOptions:
        """The options' probe."""
        return self._options.probe

    def combine(self, signals: Signals) -> Tensor:
        """Return the best weights of this step, mixed with the last ones: [objectives]."""
        assert signals.gramian is not None  # all three are in `needs`
        assert signals.dev is not None
        assert signals.dev_norm is not None
        best = ahead(signals.gramian, signals.dev, signals.dev_norm, self._options.eta)
        return torch.lerp(best.to(self.last), self.last, self._options.momentum)


def ahead(gramian: Tensor, dev: Tensor, dev_norm: Tensor, eta: float) -> Tensor:
    """Return the w on the simplex that maximises w'a - eta/2 w'Gw: [objectives] float64.

    Args:
        gramian: [objectives, objectives] float; divided by the first's squared norm, or by the
            largest where that is 0.
        dev: [objectives] float, inner products with the dev gradient.
        dev_norm: [] float.
        eta: length of the step, without a unit.
    """
    squares = gramian.double().diagonal().clamp(min=0)
    unit = torch.where(squares[0] > 0, squares[0], squares.max()).clamp_min(1e-300)
    gain = dev.double() / (unit.sqrt() * dev_norm.double()).clamp_min(1e-300)
    return minimise(eta * gramian.double() / unit, gain, simplex=True)


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `lookahead`."""
    return {"lookahead": Lookahead}
