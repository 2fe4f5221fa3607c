"""What is not finite is kept out of the parameters, also where it is only looked at later."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from support.command import SMALL
from support.experiments import built
from tartan import Loss, Signals
from tartan.experiment.build import Experiment
from tartan.train.finite import Guard, NonFiniteError, non_finite
from tartan.train.non_finite_cause import find_cause
from tartan.train.schedule import StagePlan
from tartan.train.setup import Setup
from tartan.train.stage import Stage

FINE = Signals(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.5]))
NORMS = torch.tensor([3.0, 4.0])


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_anything_that_a_step_acts_on_is_looked_at(value: float):
    bad = torch.tensor([1.0, value])
    assert not non_finite(FINE, NORMS)
    assert non_finite(FINE, bad)
    measured = ("losses", "weights", "norms", "dev")
    assert all(non_finite(replace(FINE, **{name: bad}), NORMS) for name in measured)
    assert non_finite(replace(FINE, dev_norm=bad[1]), NORMS)
    assert non_finite(replace(FINE, gramian=bad.outer(bad)), NORMS)


def test_a_guard_tells_at_once():
    guard, bad = Guard(late=False), replace(FINE, losses=torch.tensor([1.0, torch.nan]))
    assert guard.check(0, FINE, NORMS) is None
    with pytest.raises(NonFiniteError) as caught:
        guard.check(1, bad, NORMS)
    assert caught.value.step == 1
    assert guard.clean
    assert guard.check(2, FINE, NORMS) is None


def test_a_late_guard_tells_a_step_later_and_holds_everything_from_then_on():
    guard, bad = Guard(late=True), replace(FINE, losses=torch.tensor([1.0, torch.nan]))
    assert guard.check(0, FINE, NORMS) == 0
    assert guard.check(1, bad, NORMS) == 1
    with pytest.raises(NonFiniteError) as caught:
        guard.check(2, FINE, NORMS)
    assert caught.value.step == 1
    assert not guard.clean


def test_a_late_guard_tells_when_it_is_asked():
    guard = Guard(late=True)
    guard.check(0, FINE, NORMS)
    guard.wait()
    guard.check(1, FINE, NORMS * torch.nan)
    with pytest.raises(NonFiniteError, match="step 1"):
        guard.wait()


def made(weighting: str) -> Experiment:
    return built("objectives=[mlm]", f"weighting={weighting}", *SMALL)


@pytest.fixture
def experiment() -> Experiment:
    return made("meta")


@pytest.fixture
def setup(experiment: Experiment) -> Setup:
    return experiment.setup


@pytest.fixture
def plan(experiment: Experiment) -> StagePlan:
    return experiment.stages["joint"]


def poison(setup: Setup, number: int) -> None:
    """Spoil the loss of mlm from its n-th computation on: the first is number 1."""
    objective, calls = setup.model.objective("mlm"), 0
    compute = objective.loss

    def loss(hidden: Tensor, batch: object) -> Loss:
        nonlocal calls
        calls += 1
        found = compute(hidden, batch)
        return Loss(found.total * torch.nan, found.metrics) if calls >= number else found

    objective.loss = loss  # type: ignore[method-assign]


def parameters(setup: Setup) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in setup.model.parameters()]


@pytest.mark.parametrize("late", [False, True])
def test_a_non_finite_step_moves_no_parameter_and_is_traced(
    setup: Setup, plan: StagePlan, late: bool
):
    stage = Stage(replace(setup, late=late), plan)
    stage.take(0)
    stage.take(1)
    before, weights = parameters(setup), stage.weights()
    moments = deepcopy(stage.state_dict()["optimiser"])
    poison(setup, 1)
    if late:
        stage.take(2)
    with pytest.raises(NonFiniteError) as caught:
        stage.take(2 + late)
    assert caught.value.step == 2
    assert all(one.equal(other) for one, other in zip(before, parameters(setup), strict=True))
    assert stage.consistent is not late
    if not late:
        assert_close(stage.state_dict()["optimiser"], moments, rtol=0, atol=0)
        assert stage.weights() == weights
    said = find_cause(setup, stage, caught.value)
    assert said.startswith("mlm: the loss is nan at step 3, on rows ")


def test_late_and_at_once_take_the_same_steps(setup: Setup, plan: StagePlan):
    """The flag that could hold the optimiser changes nothing where it is not set."""
    start = parameters(setup)
    ends = []
    for late in (False, True):
        with torch.no_grad():
            for parameter, value in zip(setup.model.parameters(), start, strict=True):
                parameter.copy_(value)
        stage = Stage(replace(setup, late=late), plan)
        for step in range(4):
            stage.take(step)
        stage.step.guard.wait()
        ends.append(parameters(setup))
    assert all(one.equal(other) for one, other in zip(*ends, strict=True))
    assert not all(one.equal(other) for one, other in zip(start, ends[0], strict=True))


def test_weights_that_are_not_finite_are_the_weightings_own(setup: Setup, plan: StagePlan):
    stage = Stage(setup, plan)
    stage.weighting.load_state_dict({"logits": torch.tensor([torch.nan, 0.0])})
    with pytest.raises(NonFiniteError) as caught:
        stage.take(0)
    assert "the weighting gives weights that are not finite at step 1: {" in find_cause(
        setup, stage, caught.value
    )


def test_a_gradient_that_only_token_embeddings_see_is_traced():
    """They add theirs to `.grad` past autograd; static measures no objective's own gradient."""
    experiment = made("static")
    setup = experiment.setup
    stage = Stage(setup, experiment.stages["joint"])
    stage.take(0)

    def spoil(_: nn.Module, __: object, found: Tensor) -> None:
        if found.requires_grad:
            found.register_hook(lambda gradient: gradient * torch.nan)

    setup.model.body.model.get_input_embeddings().register_forward_hook(spoil)
    with pytest.raises(NonFiniteError) as caught:
        stage.take(1)
    said = find_cause(setup, stage, caught.value)
    assert said.startswith("classification: the gradient is not finite at step 2, on rows ")
    assert said.endswith("each of them by itself)")


def test_the_cause_is_looked_for_once_no_batches_are_being_made(
    setup: Setup, plan: StagePlan, monkeypatch: pytest.MonkeyPatch
):
    """A stream is read by one thread at a time."""
    stage, calls = Stage(setup, plan), []
    poison(setup, 0)
    with pytest.raises(NonFiniteError) as caught:
        stage.take(0)
    rows = stage.step.rows
    monkeypatch.setattr(stage.step, "wait", lambda: calls.append("wait"))
    monkeypatch.setattr(stage.step, "rows", lambda *at: (calls.append("rows"), rows(*at))[1])
    find_cause(setup, stage, caught.value)
    assert calls[:2] == ["wait", "rows"]
