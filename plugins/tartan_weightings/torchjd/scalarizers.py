"""TorchJD's scalarizers: functions of the losses, whose derivative is the weights."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torchjd import scalarization
from torchjd.scalarization import Scalarizer

from tartan import Needs, Signals, Weighting, check_ranges
from tartan_weightings.torchjd.constructors import (
    construct,
    options_class,
    paper,
    parameters,
    plugin_name,
)
from tartan_weightings.torchjd.gramian import drawing_from

METHODS: Mapping[str, str] = {
    "Constant": "to compare with tartan's own `static`",
    "COSMOS": "when losses should be in a given proportion, with few conflicts",
    "DWA": "to compare with tartan's own `dwa`",
    "FAMO": "to compare with tartan's own `famo`",
    "GeometricMean": "when losses differ in scale, and are positive",
    "IMTLL": "when losses differ in scale; like uncertainty weighting",
    "Mean": "as the baseline of equal weights",
    "PBI": "when losses should be in a given proportion, exactly",
    "Random": "as a baseline that is hard to beat",
    "STCH": "when the largest loss matters most",
    "Sum": "as the baseline of weights of 1",
    "UW": "to compare with tartan's own `uncertainty`",
}
"""The scalarizers that are offered, and when to use each."""
SMALLEST = 1e-8
"""Smallest loss that counts where a scalarizer takes logarithms."""
BOUND = 20.0
"""Largest absolute value of a learned parameter, all of which are logarithms."""


class Pure(Weighting):
    """Weights are the derivative of a scalarizer by the losses, at the last step's losses.

    So a step costs one backward pass. Before the first step all losses count as 1. A derivative
    below 0 counts as 0: no head is trained against its own loss.
    """

    needs: ClassVar[Needs] = Needs.LOSSES
    method: ClassVar[type[Scalarizer]]
    """TorchJD's class."""
    positive: ClassVar[bool] = False
    """True where losses have to be positive: smaller ones count as 1e-8."""
    last: Tensor

    def __init__(self, options: Any, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        made = construct(self.method, options, objectives)
        self._scalarizer = (made,)  # in a tuple: its parameters are not this module's
        self._vectors = [
            p.name
            for p in parameters(self.method)
            if p.vector and getattr(made, p.name) is not None
        ]
        for name in self._vectors:  # the options say them
            self.register_buffer(f"given_{name}", getattr(made, name), persistent=False)
        ones = torch.ones(len(objectives))
        self.register_buffer("last", self.derive(ones))

    def weights(self) -> Tensor:
        """Return the derivative at the last losses, [objectives]."""
        return self.last

    def update(self, signals: Signals) -> None:
        """Take the derivative at the step's losses."""
        losses = signals.losses.to(self.last)
        if self.positive:  # 0 is the loss of a batch without items: it says nothing
            found = self.derive(losses.clamp(min=SMALLEST))
            self.last = torch.where((losses > 0).all(), found, self.last)
        else:
            self.last = self.derive(losses)

    def derive(self, losses: Tensor) -> Tensor:
        """Return the derivative at some losses, [objectives], at least 0."""
        (scalarizer,) = self._scalarizer
        for name in self._vectors:
            setattr(scalarizer, name, self.get_buffer(f"given_{name}"))
        return derivative(scalarizer, losses).clamp(min=0)


class Learned(Weighting):
    """A scalarizer's parameters are trained on its value; its derivative is the weights.

    The parameters are logarithms and stay within 20 of 0. The derivative does not depend on the
    losses.
    """

    needs: ClassVar[Needs] = Needs.LOSSES
    method: ClassVar[type[Scalarizer]]
    """TorchJD's class."""

    def __init__(self, options: Any, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        check_ranges("weighting", options, lr="[0, inf)")
        self.lr = options.lr
        self.scalarizer: nn.Module = construct(self.method, options, objectives)
        self._count = len(objectives)

    def weights(self) -> Tensor:
        """Return the derivative, [objectives]."""
        return derivative(self.scalarizer, next(self.parameters()).detach().new_ones(self._count))

    def loss(self, signals: Signals) -> Tensor:
        """Return the scalarizer's value, [] float."""
        value: Tensor = self.scalarizer(signals.losses.to(next(self.parameters())))
        return value

    @torch.no_grad()
    def update(self, signals: Signals) -> None:  # noqa: ARG002
        """Keep the parameters within their bound."""
        for parameter in self.parameters():
            parameter.clamp_(-BOUND, BOUND)


class RandomWeights(Pure):
    """New random weights for every step; equal shares in the first."""

    def __init__(self, options: Any, objectives: tuple[str, ...]) -> None:
        with torch.random.fork_rng(devices=[]):
            super().__init__(options, objectives)
        self.last = torch.full_like(self.last, 1 / len(objectives))

    def update(self, signals: Signals) -> None:
        """Draw the next step's weights, on the CPU."""
        with drawing_from(signals.generator):
            drawn = derivative(self._scalarizer[0], torch.ones(len(self.last)))
        self.last = drawn.to(self.last, non_blocking=True)


class Average(Pure):
    """Dynamic weight average over blocks of `every` steps, which stand for epochs."""

    current: Tensor
    past: Tensor
    steps: Tensor

    def __init__(self, options: Any, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        check_ranges("weighting", options, every="[1, inf)")
        self._every = options.every
        self.register_buffer("current", torch.zeros(len(objectives)))
        self.register_buffer("past", torch.zeros(2, len(objectives)))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def update(self, signals: Signals) -> None:
        """Add the losses to the block's; at its end, have TorchJD compare the last two."""
        self.steps = self.steps + 1
        losses = signals.losses.to(self.current).clamp(min=SMALLEST)
        current = self.current + losses / self._every
        over = self.steps % self._every == 0
        self.past = torch.where(over, torch.stack([self.past[1], current]), self.past)
        self.current = torch.where(over, 0, current)
        compared = self._compare(self.past.clamp(min=SMALLEST), losses)
        self.last = torch.where(self.steps >= 2 * self._every, compared, self.last)

    def _compare(self, past: Tensor, losses: Tensor) -> Tensor:
        """Return the weights that follow two blocks with these mean losses, [objectives]."""
        (scalarizer,) = self._scalarizer
        scalarizer.reset()
        for block in past:
            scalarizer(block)
            scalarizer.step()
        return derivative(scalarizer, losses)


class Adaptive(Pure):
    """FAMO: the losses after a step are those of the next step, on its own batch."""

    positive = True
    waits = True
    logits: Tensor
    moments: Tensor
    losses: Tensor
    steps: Tensor

    def __init__(self, options: Any, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        count = len(objectives)
        self.register_buffer("logits", torch.zeros(count))
        self.register_buffer("moments", torch.zeros(2, count))
        self.register_buffer("losses", torch.ones(count))
        self.register_buffer("steps", torch.zeros(()))

    def update(self, signals: Signals) -> None:
        """Have TorchJD learn from the last step's losses and these, on the CPU."""
        (famo,) = self._scalarizer
        losses, last = signals.losses.detach().cpu().float(), self.losses.cpu()
        # 0 is the loss of a batch without items, as where no token was masked: the last one counts
        losses = torch.where(losses > 0, losses.clamp(min=SMALLEST), last)
        if self.steps > 0:
            self._restore(famo)
            famo(last)
            famo.update(losses)
            state = famo._optimizer.state[famo._w]
            moments = torch.stack([state["exp_avg"], state["exp_avg_sq"]])
            self.moments = moments.to(self.moments)
            self.logits = famo._w.detach().clone().to(self.logits)
        self.losses, self.steps = losses.to(self.losses), self.steps + 1
        self.last = derivative(famo, losses).to(self.last)

    def _restore(self, famo: Any) -> None:
        """Give TorchJD's object its logits and Adam's state, which it does not save."""
        famo._w.data = self.logits.cpu().clone()
        famo._optimizer = Adam([famo._w], lr=famo.lr, weight_decay=famo.weight_decay)
        first, second = self.moments.cpu().clone()
        famo._optimizer.state[famo._w] = {
            "step": self.steps.cpu() - 1,
            "exp_avg": first,
            "exp_avg_sq": second,
        }


def derivative(scalarizer: nn.Module, losses: Tensor) -> Tensor:
    """Return the derivative of a scalarizer's value by the losses, [objectives]."""
    with torch.enable_grad():
        values = losses.detach().clone().requires_grad_()
        (found,) = torch.autograd.grad(scalarizer(values), values)
    return found.detach()


KINDS: Mapping[str, tuple[type[Weighting], Mapping[str, tuple[Any, Any]]]] = {
    "DWA": (Average, {"every": (int, 100)}),
    "FAMO": (Adaptive, {}),
    "IMTLL": (Learned, {"lr": (float, 1e-2)}),
    "Random": (RandomWeights, {}),
    "UW": (Learned, {"lr": (float, 1e-2)}),
}
"""The adapter of a scalarizer that is not `Pure`, and the options that it adds."""


def adapt(method: type[Scalarizer]) -> type[Weighting]:
    """Make the weighting of a scalarizer's class."""
    name = method.__name__
    base, own = KINDS.get(name, (Pure, {}))
    given: dict[str, Any] = {
        "__doc__": f"TorchJD's {name}: {paper(method)}.",
        "__module__": __name__,
        "Options": options_class(method, own),
        "method": method,
        "paper": paper(method),
        "use": METHODS[name],
    }
    if name == "GeometricMean":  # it tests the losses' signs on the host
        given |= {"positive": True, "waits": True}
    return type(f"TorchJD{name}", (base,), given)


def offered() -> dict[str, type[Weighting]]:
    """Return the weightings of `METHODS` by their plugins' names."""
    classes: list[type[Scalarizer]] = [getattr(scalarization, name) for name in METHODS]
    return {plugin_name(cls): adapt(cls) for cls in classes}
