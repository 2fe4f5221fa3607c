"""MetaBalance: auxiliary gradients of the end task's size (He et al., WWW 2022)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tartan import (
    GramianWeighting,
    Needs,
    Signals,
    Weighting,
    check_choice,
    check_ranges,
    hookimpl,
)

STRATEGIES = ("reduce", "enlarge", "both")
LARGEST = 1e6
"""Largest ratio of two norms that counts, for gradients that all but vanish."""


@dataclass
class MetaBalanceOptions:
    """Options of `metabalance`; the defaults are the paper's.

    Attributes:
        relax: r, between 0 (no change) and 1 (all gradients as long as the end task's).
        beta: decay of the running means of the norms.
        strategy: `reduce` auxiliary gradients that are longer than the end task's (strategy A of
            the paper), `enlarge` those that are shorter (B), or `both` (C).
    """

    relax: float = 0.7
    beta: float = 0.9
    strategy: str = "both"


class MetaBalance(GramianWeighting):
    """An auxiliary's gradient is brought towards the end task's length.

    With m_i the running mean of |g_i|, m_i = beta m_i + (1 - beta) |g_i|, and r the relax factor
    (algorithm 1 and section 4.4),

        w_0 = 1,    w_i = r m_0 / m_i + 1 - r

    The paper measures each parameter tensor by itself; here the norm is that of the whole body.
    """

    Options = MetaBalanceOptions
    needs: ClassVar[Needs] = Needs.LOSSES | Needs.GRADIENTS
    paper = "He et al., MetaBalance, WWW 2022"
    use = "when an auxiliary's gradient is much longer or shorter than the end task's"
    end_task_first = True
    means: Tensor

    def __init__(self, options: MetaBalanceOptions, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        check_ranges("weighting", options, relax="[0, 1]", beta="[0, 1)")
        check_choice("weighting.strategy", options.strategy, STRATEGIES)
        self._options = options
        self.register_buffer("means", torch.zeros(len(objectives)))

    def combine(self, signals: Signals) -> Tensor:
        """Return the scale of each gradient, [objectives]; the end task's is 1."""
        means = self._means(signals)
        return balance(means, self._options.relax, self._options.strategy)

    def update(self, signals: Signals) -> None:
        """Keep the running means, and the step's weights."""
        self.means = self._means(signals)
        super().update(signals)

    def _means(self, signals: Signals) -> Tensor:
        assert signals.norms is not None  # it is in `needs`
        norms = signals.norms.to(self.means)
        return self._options.beta * self.means + (1 - self._options.beta) * norms


def balance(means: Tensor, relax: float, strategy: str) -> Tensor:
    """Return r m_0 / m_i + 1 - r, or 1 where the strategy leaves a gradient as it is.

    Args:
        means: [objectives] float, running means of the norms; where one is 0, its scale is 1.
        relax: r.
        strategy: one of `STRATEGIES`.
    """
    end_task = means[0]
    ratios = (end_task / means.clamp_min(torch.finfo(means.dtype).tiny)).clamp(max=LARGEST)
    scaled = relax * ratios + 1 - relax
    changed = means > 0
    if strategy != "both":
        changed &= means > end_task if strategy == "reduce" else means < end_task
    scales = torch.where(changed, scaled, 1)
    return torch.cat([torch.ones_like(scales[:1]), scales[1:]])


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `metabalance`."""
    return {"metabalance": MetaBalance}
