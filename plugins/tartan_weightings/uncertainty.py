"""Uncertainty weighting: weights learned by gradient descent (Kendall et al., CVPR 2018)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from tartan import Needs, Signals, Weighting, check_ranges, hookimpl

BOUND = 20.0
"""Largest absolute log variance: weights stay within exp(-20)/2 and exp(20)/2."""


@dataclass
class UncertaintyOptions:
    """Options of `uncertainty`.

    Attributes:
        lr: peak learning rate of the log variances, which AdamW trains without weight decay.
    """

    lr: float = 1e-2


class Uncertainty(Weighting):
    """One learned log variance s_i for each objective: a noisier objective counts less.

    With L_i the objectives' mean losses, training minimises (equation 7, s_i = log sigma_i^2)

        sum_i 1/2 exp(-s_i) L_i + 1/2 s_i

    so that objective i counts exp(-s_i) / 2: 1/2 at the start, 1 / (2 L_i) where s_i is optimal.
    Equation 7 is for squared errors. For cross-entropies the paper has exp(-s_i) L_i + 1/2 s_i
    (equation 10), which is the same with s_i - log 2 for s_i, up to a constant: such an objective
    would count 1 at the start, and as much as here where s_i is optimal.
    """

    Options = UncertaintyOptions
    needs: ClassVar[Needs] = Needs.LOSSES
    paper = "Kendall et al., Multi-task learning using uncertainty, CVPR 2018"
    use = "when all objectives matter alike and their losses differ in scale; it costs nothing"

    def __init__(self, options: UncertaintyOptions, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        check_ranges("weighting", options, lr="[0, inf)")
        self.lr = options.lr
        self.log_variances = nn.Parameter(torch.zeros(len(objectives)))

    def weights(self) -> Tensor:
        """Return exp(-s) / 2, [objectives]."""
        return (-self._bounded()).exp() / 2

    def loss(self, signals: Signals) -> Tensor:
        """Return the weighted losses and the regulariser, [] float."""
        return super().loss(signals) + self._bounded().sum() / 2

    @torch.no_grad()
    def update(self, signals: Signals) -> None:  # noqa: ARG002
        """Keep the log variances near their bound, so that they can return."""
        self.log_variances.clamp_(-BOUND, BOUND)

    def _bounded(self) -> Tensor:
        """Return the log variances within their bound, with the gradient of 1 beyond it too."""
        values = self.log_variances
        return values + (values.clamp(-BOUND, BOUND) - values).detach()


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `uncertainty`."""
    return {"uncertainty": Uncertainty}
