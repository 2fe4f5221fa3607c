"""Signals for the tests of a weighting, and a step of a model with seven parameters."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tartan.active import Active
from tartan.backward import backward, differentiate
from tartan.seeding import generator
from tartan.shared import Shared
from tartan.term import Term
from tartan.testing.contract import Broken
from tartan.weighting import Needs, Signals, Weighting, samples

SIZE = 7
"""Parameters of the model whose gradients are weighed."""

NEEDED: dict[str, Needs] = {
    "norms": Needs.GRADIENTS | Needs.DEV,
    "gramian": Needs.GRADIENTS,
    "dev": Needs.DEV,
    "dev_norm": Needs.DEV,
}
"""The signals that are not always there, and what measures them: any one of it."""


@dataclass(frozen=True)
class Measured:
    """Everything that can be measured in a step.

    Attributes:
        losses: [objectives] float.
        gradients: [objectives, parameters] float.
        dev: [parameters] float, the dev gradient.
    """

    losses: Tensor
    gradients: Tensor
    dev: Tensor

    @classmethod
    def of(cls, objectives: int, step: int) -> "Measured":
        """Sample an ordinary step."""
        rng = generator(0, "signals", step)
        gradients = torch.randn(objectives, SIZE, generator=rng)
        losses = torch.rand(objectives, generator=rng) * 2 + 0.1
        return cls(losses, gradients, torch.randn(SIZE, generator=rng))

    def ordered(self, order: Tensor) -> "Measured":
        """Return the step with its objectives in another order, [objectives] int64."""
        return replace(self, losses=self.losses[order], gradients=self.gradients[order])

    def to(self, device: torch.device) -> "Measured":
        """Return the step on a device."""
        return Measured(self.losses.to(device), self.gradients.to(device), self.dev.to(device))

    def signals(
        self, needs: Needs, weights: Tensor, generator: torch.Generator | None = None
    ) -> Signals:
        """Return what a step hands to a weighting that needs `needs`."""
        gramian = self.gradients @ self.gradients.T
        values = {
            "norms": gramian.diagonal().sqrt(),
            "gramian": gramian,
            "dev": self.gradients @ self.dev,
            "dev_norm": self.dev.norm(),
        }
        asked = {name: value for name, value in values.items() if NEEDED[name] & needs}
        losses, weights = self.losses.clone(), weights.detach().clone()
        return Signals(losses, weights, generator=generator, **asked)


def extremes(objectives: int) -> dict[str, Measured]:
    """Return rare but possible steps, by name; all are finite."""
    usual = Measured.of(objectives, 0)
    first = torch.arange(objectives)[:, None] == 0
    return {
        "an ordinary step": usual,
        "all gradients zero": replace(usual, gradients=torch.zeros_like(usual.gradients)),
        "the primary's gradient zero": replace(
            usual, gradients=usual.gradients.masked_fill(first, 0)
        ),
        "the dev gradient zero": replace(usual, dev=torch.zeros_like(usual.dev)),
        "all losses zero": replace(usual, losses=torch.zeros_like(usual.losses)),
        "all losses negative": replace(usual, losses=-usual.losses),
        "losses of a million": replace(usual, losses=usual.losses * 1e6),
        "equal gradients": replace(usual, gradients=usual.gradients[:1].expand(objectives, -1)),
        "opposite gradients": replace(
            usual, gradients=torch.where(first, usual.gradients[:1], -usual.gradients[:1])
        ),
        "gradients of ten thousand": replace(usual, gradients=usual.gradients * 1e4),
        "gradients of a hundred-millionth": replace(usual, gradients=usual.gradients * 1e-8),
        "against the dev gradient": replace(
            usual, gradients=-usual.dev.expand(objectives, -1).clone()
        ),
    }


def take(
    weighting: Weighting,
    step: int,
    measured: Measured,
    guard: Callable[[Signals], Signals] = lambda signals: signals,
    rng: torch.Generator | None = None,
) -> Tensor:
    """Take a step as a run does.

    Args:
        weighting: the weighting; it learns.
        step: the step's number.
        measured: what there is to measure in it.
        guard: applied to signals before the weighting sees them.
        rng: the step's generator, if the caller has made it.

    Returns:
        The weights that the step was taken with, [objectives].
    """
    return take_chosen(weighting, step, measured, chosen(weighting, step), guard, rng)


def take_chosen(
    weighting: Weighting,
    step: int,
    measured: Measured,
    some: Active | None,
    guard: Callable[[Signals], Signals] = lambda signals: signals,
    rng: torch.Generator | None = None,
) -> Tensor:
    """As `take`, once the weighting has chosen what the step computes: `some`, or all."""
    needs, rng = weighting.due(step), rng or step_generator(step)
    weights = weighting.weights() if some is None else weighting.applied(some.mask)
    found = only(some, measured.signals(needs, weights, rng))
    if Needs.GRADIENTS in needs:
        # As in `backward`: what it combines is what it learns from, the same tensors.
        weights = weighting.combine(guard(found)).detach().clone()
        found = replace(found, weights=weights if some is None else some.spread(some.of(weights)))
    signals = guard(found)
    differentiate(weighting, signals)
    learn(weighting, signals)
    return signals.weights


def chosen(weighting: Weighting, step: int) -> Active | None:
    """Return the objectives that a step computes; None for all."""
    indices = weighting.active(step, choice_generator(step))
    weights = weighting.weights()
    return None if indices is None else Active(indices, len(weights), weights.device)


def only(some: Active | None, signals: Signals) -> Signals:
    """Return the signals of a step that computes some objectives, from those of all."""
    if some is None:
        return signals
    gramian, norms, dev = signals.gramian, signals.norms, signals.dev
    part = replace(
        signals,
        losses=some.of(signals.losses),
        weights=some.of(signals.weights),
        norms=None if norms is None else some.of(norms),
        gramian=None if gramian is None else some.of(some.of(gramian).T).T,
        dev=None if dev is None else some.of(dev),
    )
    return some.signals(part)


def copied(signals: Signals) -> Signals:
    """Return the same signals, in tensors of their own."""
    values = {field.name: getattr(signals, field.name) for field in fields(signals)}
    own: dict[str, Any] = {n: v.clone() for n, v in values.items() if isinstance(v, Tensor)}
    return replace(signals, **own)


def changed(before: Signals, after: Signals) -> list[str]:
    """Return the names of the signals whose tensors differ."""
    pairs = {f.name: (getattr(before, f.name), getattr(after, f.name)) for f in fields(Signals)}
    tensors = {name: pair for name, pair in pairs.items() if isinstance(pair[0], Tensor)}
    return [name for name, (one, other) in tensors.items() if not torch.equal(one, other)]


def step_generator(step: int) -> torch.Generator:
    """Make the generator of a step."""
    return generator(0, "weighting", step)


def choice_generator(step: int) -> torch.Generator:
    """Make the generator of the choice of a step's objectives."""
    return generator(0, "active", step)


def draws(weighting: Weighting, objectives: int) -> bool:
    """Return whether the weighting makes random choices in some of its first steps."""
    if samples(type(weighting)):
        return True
    for step in range(3):
        rng = step_generator(step)
        before = rng.get_state()
        take(weighting, step, Measured.of(objectives, step), rng=rng)
        if not torch.equal(before, rng.get_state()):
            return True
    return False


def learn(weighting: Weighting, signals: Signals) -> None:
    """Have a weighting learn from a step: its buffers, then its parameters by plain descent."""
    with torch.no_grad():
        weighting.update(signals)
        for parameter in weighting.parameters():
            if parameter.grad is not None:
                parameter.sub_(weighting.lr * parameter.grad)


class Undeclared(Signals):
    """Signals that break the contract if one is read that `needs` does not declare."""

    def __getattribute__(self, name: str) -> object:
        """Return a signal; Broken if it was not declared."""
        if name in NEEDED and not NEEDED[name] & object.__getattribute__(self, "_declared"):
            raise Broken(f"it reads signals.{name}, which its `needs` do not declare")
        return object.__getattribute__(self, name)

    @classmethod
    def guard(cls, declared: Needs, signals: Signals) -> Signals:
        """Return the same signals, guarded."""
        guarded = object.__new__(cls)
        values = {field.name: getattr(signals, field.name) for field in fields(signals)}
        vars(guarded).update(values, _declared=declared)
        return guarded


def spent(weighting: Weighting, objectives: int, step: int) -> tuple[int, int]:
    """Count the backward passes of a step of `backward` with a model of seven parameters.

    Returns:
        The passes, and the objectives that the step computed.
    """
    body = nn.Parameter(torch.ones(SIZE))
    passes: list[Tensor] = []
    body.register_hook(passes.append)
    measured = Measured.of(objectives, step)
    indices = weighting.active(step, choice_generator(step))
    computed = range(objectives) if indices is None else indices
    terms = [Term([partial(torch.dot, measured.gradients[index], body)]) for index in computed]
    dev, needs = Term([partial(torch.dot, measured.dev, body)]), weighting.due(step)
    signals = backward(terms, weighting, Shared([body]), dev=dev, needs=needs, active=indices)
    learn(weighting, signals)
    return len(passes), len(computed)
