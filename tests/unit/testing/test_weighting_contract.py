"""Contracts make weightings, and take steps with them, as a run does."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from support.breakers import Options
from support.weighting_breakers import Learning
from tartan import Needs, Shared, Signals, Term, backward
from tartan.testing import Broken, WeightingContract


class Told(Learning):
    """Learns at a rate that only `budget` gives, for the objectives that `describe` names."""

    told: tuple[str, ...] = ()
    steps = 0

    def describe(self, factors: Mapping[str, Mapping[str, str]]) -> None:
        assert not self.told
        self.told = tuple(factors)

    def budget(self, steps: int) -> None:
        assert self.told
        assert not self.steps
        self.steps = steps


class Combining(Learning):
    needs = Needs.LOSSES | Needs.GRADIENTS

    def combine(self, signals: Signals) -> Tensor:
        assert signals.gramian is not None
        signals.gramian.fill_diagonal_(0)
        return self.weights()


class Scoring(Learning):
    """Has a parameter, whose loss changes the weights."""

    def __init__(self, options: Options, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        self.rate = nn.Parameter(torch.ones(()))

    def loss(self, signals: Signals) -> Tensor:
        signals.weights.zero_()
        return self.rate**2


def test_it_is_told_its_factors_and_its_budget_once_before_any_step():
    made = type("It", (WeightingContract,), {"weighting": Told})().make(("task", "tapt"))
    assert isinstance(made, Told)
    assert made.told == ("task", "tapt")
    assert made.steps > 0


@pytest.mark.parametrize(("cls", "signal"), [(Combining, "gramian"), (Scoring, "weights")])
def test_signals_are_watched_in_combine_and_loss(cls: type[Learning], signal: str):
    contract = type("It", (WeightingContract,), {"weighting": cls})()
    with pytest.raises(Broken, match=f"^at step 0 it modifies {signal} of its signals$"):
        contract.test_signals_are_left_as_they_were()


def test_what_a_step_reports_of_combined_weights_stays():
    class Owner(Learning):
        needs = Needs.LOSSES | Needs.GRADIENTS

        def combine(self, signals: Signals) -> Tensor:
            return self.logits

        def update(self, signals: Signals) -> None:
            self.logits += 1

    body, weighting = nn.Parameter(torch.ones(2)), Owner(Options(), ("task", "tapt"))
    signals = backward([Term([body.sum])] * 2, weighting, Shared([body]))
    weighting.update(signals)
    assert signals.weights.tolist() == [0, 0]


class Averaging(Learning):
    """Compares means of the losses over 100 steps, and keeps what it adds up in Python."""

    def __init__(self, options: Options, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        self.sums, self.steps = [0.0] * len(objectives), 0

    def update(self, signals: Signals) -> None:
        self.steps += 1
        self.sums = [a + b for a, b in zip(self.sums, signals.losses.tolist(), strict=True)]
        if self.steps % 100 == 0:
            self.logits = torch.tensor(self.sums)


class Window:
    def __init__(self) -> None:
        self.losses: list[Tensor] = []


class Delegating(Learning):
    """Keeps the last two losses in an object of its own, without a use for them yet."""

    def __init__(self, options: Options, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        self.window = Window()

    def update(self, signals: Signals) -> None:
        self.window.losses = [*self.window.losses[-1:], signals.losses]


class Hiding(Learning):
    """Counts its steps in a buffer that its state leaves out."""

    def __init__(self, options: Options, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        self.register_buffer("steps", torch.zeros(()), persistent=False)

    def update(self, signals: Signals) -> None:
        self.steps = self.steps + 1


class Caching(Learning):
    """Keeps what it computes in a step, a constant, and an object's identity; no state."""

    def __init__(self, options: Options, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        self.cache: dict[str, object] = {"of": str(id(self))}
        self.me = [self]

    def update(self, signals: Signals) -> None:
        super().update(signals)
        self.cache |= {"losses": signals.losses, "solver": object(), "count": len(self.logits)}


@pytest.mark.parametrize(
    ("cls", "said"),
    [(Averaging, "sums, steps: "), (Delegating, "window: "), (Hiding, "steps: ")],
)
def test_state_that_is_lost_is_found_before_it_changes_a_weight(cls: type[Learning], said: str):
    contract = type("It", (WeightingContract,), {"weighting": cls})()
    with pytest.raises(Broken, match=f"^its state_dict lacks {said}its steps change that, and"):
        contract.test_it_resumes_exactly_from_its_state()


def test_a_cache_that_each_step_makes_again_is_not_lost_state():
    type(
        "It", (WeightingContract,), {"weighting": Caching}
    )().test_it_resumes_exactly_from_its_state()
