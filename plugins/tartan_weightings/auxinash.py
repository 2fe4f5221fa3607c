"""AuxiNash: bargaining with learned preferences (Shamsian et al., ICML 2023)."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from tartan import GramianWeighting, Needs, ProbeOptions, Signals, Weighting, check_ranges, hookimpl

RIDGE = 1e-4
"""Added to the cosines' diagonal: opposite gradients would make the bargain's weights infinite."""
ITERATIONS = 30
LENGTHS = 12


@dataclass
class AuxiNashOptions:
    """Options of `auxinash`.

    Attributes:
        lr: learning rate of the preferences' logits.
        every: steps between two measurements of the dev gradient; the paper's value is 25.
        probe: how the dev gradient is taken.
    """

    lr: float = 0.1
    every: int = 25
    probe: ProbeOptions = field(default_factory=ProbeOptions)


class AuxiNash(GramianWeighting):
    """A Nash bargain between the objectives, whose power p follows the dev gradient.

    With G the Gramian, the weights alpha > 0 solve (equation 4)

        G alpha = p / alpha

    which is the minimum of alpha'G alpha / 2 - sum_i p_i log alpha_i. They are scaled to sum to 1,
    which leaves the direction as it is. p is the softmax of logits, equal at the start. Every
    `every` steps the logits move against the dev loss, through the bargain (section 4.2): one step
    changes the dev loss by -<a, alpha>, a_i = <g_dev, g_i>, and by implicit differentiation

        d alpha / d p = (G + diag(p / alpha^2))^-1 diag(1 / alpha)

    a is divided by |g_dev| and all by the gradients' lengths, so that the rate has no unit.
    """

    Options = AuxiNashOptions
    needs: ClassVar[Needs] = Needs.LOSSES | Needs.GRADIENTS | Needs.DEV
    paper = "Shamsian et al., Auxiliary learning as an asymmetric bargaining game, ICML 2023"
    use = "when gradients differ in length and conflict, and dev data shows which ones help"
    end_task_first = True
    logits: Tensor

    def __init__(self, options: AuxiNashOptions, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        check_ranges("weighting", options, lr="[0, inf)", every="[1, inf)")
        self._options = options
        self.register_buffer("logits", torch.zeros(len(objectives)))

    @property
    def probe(self) -> ProbeOptions:
        """The options' probe."""
        return self._options.probe

    def due(self, step: int) -> Needs:
        """Measure the dev gradient in every `every`-th step."""
        measured = step % self._options.every == 0
        return self.needs if measured else Needs.LOSSES | Needs.GRADIENTS

    def combine(self, signals: Signals) -> Tensor:
        """Return the bargain's weights, [objectives]; their sum is 1."""
        assert signals.gramian is not None  # it is in `needs`
        cosine, lengths = normal(signals.gramian)
        alpha = bargain(cosine, self.logits.double().softmax(0)) / lengths
        return (alpha / alpha.sum()).to(signals.gramian)

    def update(self, signals: Signals) -> None:
        """Keep the weights; where the dev gradient was measured, move the preferences."""
        super().update(signals)
        if signals.alignment is None or signals.gramian is None:
            return
        cosine, _ = normal(signals.gramian)
        preferences = self.logits.double().softmax(0)
        alpha = bargain(cosine, preferences)
        gain = benefit(cosine, preferences, alpha, signals.alignment.double())
        ascent = preferences * (gain - preferences @ gain)  # through the softmax
        moved = self.logits + self._options.lr * ascent.to(self.logits)
        self.logits = (moved - moved.mean()).clamp(-10, 10)


def normal(gramian: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cosines with a small ridge, [n, n], and the gradients' lengths, [n], float64.

    A zero gradient is orthogonal to all others, and has their mean length: 1 if all are zero.
    """
    squares = gramian.double().diagonal().clamp(min=0)
    found = squares.sqrt()
    mean = found.sum() / (squares > 0).sum().clamp(min=1)
    lengths = torch.where(squares > 0, found, torch.where(mean > 0, mean, 1))
    cosine = gramian.double() / torch.outer(lengths, lengths)
    ones = torch.where(squares > 0, 0, 1)
    identity = torch.eye(len(squares), dtype=cosine.dtype, device=cosine.device)
    return cosine + torch.diag(ones) + RIDGE * identity, lengths


def bargain(cosine: Tensor, preferences: Tensor) -> Tensor:
    """Return the x > 0 with C x = p / x, [n] float64, by Newton's method.

    It minimises x'Cx / 2 - sum_i p_i log x_i, which is convex. Each iteration takes the best of
    twelve step lengths, so that it descends from any start.

    Args:
        cosine: [n, n] float64, C, positive definite.
        preferences: [n] float64, p > 0.
    """
    halves = 0.5 ** torch.arange(LENGTHS, dtype=cosine.dtype, device=cosine.device)
    x = preferences.sqrt()
    for _ in range(ITERATIONS):
        slope = cosine @ x - preferences / x
        curvature = cosine + torch.diag(preferences / x**2)
        newton = -torch.linalg.solve_ex(curvature, slope)[0]
        tried = x + halves[:, None] * newton
        logs = tried.clamp_min(1e-300).log() @ preferences
        values = ((tried @ cosine) * tried).sum(1) / 2 - logs
        best = torch.where((tried > 0).all(1), values, torch.inf).argmin()
        x = tried.index_select(0, best[None])[0].clamp_min(1e-12)
    return x


def benefit(cosine: Tensor, preferences: Tensor, x: Tensor, gain: Tensor) -> Tensor:
    """Return the derivative of <gain, x(p)> by p, [n] float64, by implicit differentiation."""
    curvature = cosine + torch.diag(preferences / x**2)
    benefit: Tensor = torch.linalg.solve_ex(curvature, gain)[0] / x
    return benefit


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `auxinash`."""
    return {"auxinash": AuxiNash}
