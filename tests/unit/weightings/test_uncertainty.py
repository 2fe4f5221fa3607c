"""Uncertainty weighting: TorchJD's values, and parameters that are trained with a run's."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torchjd.scalarization import UW

from support.command import SMALL
from support.experiments import built
from support.problems import Problem
from tartan import Needs, Signals, backward
from tartan.experiment.build import Experiment
from tartan.plugins import Plugin, Plugins, discover
from tartan.train.finite import NonFiniteError
from tartan.train.non_finite_cause import find_cause
from tartan.train.stage import Stage
from tartan_weightings.uncertainty import BOUND, Uncertainty, UncertaintyOptions

NAMES = ("task", "mlm", "rtd")
WAYS = [Needs.LOSSES, Needs.DEV, Needs.GRADIENTS, Needs.GRADIENTS | Needs.DEV]


def made(**options: float) -> Uncertainty:
    return Uncertainty(UncertaintyOptions(**options), NAMES)


def signals(losses: Tensor) -> Signals:
    return Signals(losses, torch.ones(len(losses)))


@pytest.mark.parametrize("micro", [1, 3])
@pytest.mark.parametrize("needs", WAYS)
def test_all_gradients_are_those_of_torchjds_loss(needs: Needs, micro: int):
    """Of body, heads and log variances, by each way and however a batch is split."""
    problem, log_variances = Problem(), torch.tensor([0.3, -0.7, 1.1])
    weighting, reference = made(), UW(3)
    weighting.needs = needs  # type: ignore[misc]
    for parameter in (weighting.log_variances, reference.log_var):
        parameter.data.copy_(log_variances)
    weighting.log_variances.grad = torch.ones(3)  # it is set, not added to
    found = backward(
        problem.terms(micro),
        weighting,
        problem.shared(),
        dev=problem.dev_term(),
    )
    ours = problem.gradients()
    for module in (problem.body, *problem.heads):
        module.zero_grad()
    means = [problem.loss(i, rows) / len(rows) for i, rows in enumerate(problem.rows)]
    reference(torch.stack(means)).backward()
    assert_close(weighting.log_variances.grad, reference.log_var.grad)
    assert_close(ours, problem.gradients(), rtol=1e-5, atol=1e-6)
    assert not found.weights.requires_grad


def test_its_loss_is_the_papers():
    weighting, losses = made(), torch.tensor([2.0, 0.5, 0.1])
    weighting.log_variances.data.copy_(torch.tensor([0.0, math.log(4), -math.log(3)]))
    expected = (2.0 / 1 + 0.5 / 4 + 0.1 * 3 + math.log(4) - math.log(3)) / 2
    assert weighting.loss(signals(losses)).item() == pytest.approx(expected)
    assert_close(weighting.weights().detach(), torch.tensor([1.0, 1 / 4, 3.0]) / 2)


def test_with_constant_losses_a_weight_goes_to_half_the_losss_inverse():
    weighting, losses = made(), torch.tensor([2.0, 0.5, 0.1])
    optimiser = torch.optim.Adam(weighting.parameters(), lr=0.05)
    for _ in range(500):
        optimiser.zero_grad()
        weighting.loss(signals(losses)).backward()
        optimiser.step()
    assert_close(weighting.weights().detach(), 1 / (2 * losses), rtol=1e-3, atol=0)


def test_log_variances_stay_within_their_bound():
    weighting = made()
    weighting.log_variances.data.copy_(torch.tensor([-1e9, 0.0, 1e9]))
    assert weighting.weights().isfinite().all()
    weighting.update(signals(torch.ones(3)))
    assert weighting.log_variances.tolist() == [-BOUND, 0, BOUND]


@pytest.mark.parametrize(("start", "loss"), [(-BOUND, 100.0), (BOUND, 0.0)])
def test_log_variances_return_from_their_bound(start: float, loss: float):
    """An optimiser's step may have led beyond it."""
    weighting = made()
    weighting.log_variances.data.fill_(1.001 * start)
    optimiser = torch.optim.Adam(weighting.parameters(), lr=0.1)
    weighting.loss(signals(torch.full((3,), loss))).backward()
    optimiser.step()
    assert (weighting.log_variances.abs() < BOUND).all()


def trained(*overrides: str) -> tuple[Experiment, Stage]:
    """A stage of a run weighted by uncertainty, whether or not its entry point is installed."""
    found = discover()
    weightings = {**found.weightings, "uncertainty": Plugin("uncertainty", Uncertainty, "tests")}
    plugins = Plugins(found.objectives.values(), weightings.values(), [])
    chosen = ["objectives=[mlm]", "weighting=uncertainty", "weighting.lr=0.1", *SMALL, *overrides]
    experiment = built(*chosen, plugins=plugins)
    return experiment, Stage(experiment.setup, experiment.stages["joint"])


def test_a_run_trains_them_by_adamw_without_decay():
    """The first step of AdamW moves a parameter by its rate, which a stage's warm-up scales."""
    _, stage = trained("optimizer.warmup=0", "optimizer.clip=0")
    stage.take(0)
    (parameter,) = stage.weighting.parameters()
    assert parameter.grad is not None
    assert_close(parameter.detach(), -0.1 * parameter.grad.sign(), rtol=1e-4, atol=0)


def test_they_are_clipped_by_themselves():
    _, stage = trained("optimizer.clip=0.001")
    stage.take(0)
    (parameter,) = stage.weighting.parameters()
    assert parameter.grad is not None
    assert parameter.grad.norm().item() == pytest.approx(0.001, rel=1e-3)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_stage_resumes_exactly_with_their_moments(accumulate: int):
    ends = []
    for pause in (None, 3):
        experiment, stage = trained(f"accumulate={accumulate}")
        for step in range(6):
            if step == pause:
                state = stage.state_dict()
                stage = Stage(experiment.setup, experiment.stages["joint"])
                stage.load_state_dict(state)
            stage.take(step)
        ends.append(stage.weights())
    assert ends[0] == ends[1]
    assert ends[0]["mlm"] != 0.5


def test_a_gradient_of_theirs_that_is_not_finite_moves_nothing_and_is_traced():
    experiment, _ = trained()
    setup = experiment.setup
    stage = Stage(replace(setup, late=False), experiment.stages["joint"])
    stage.take(0)
    before = [
        p.detach().clone() for p in (*setup.model.parameters(), *stage.weighting.parameters())
    ]
    stage.weighting.log_variances.register_hook(lambda gradient: gradient * torch.nan)
    with pytest.raises(NonFiniteError) as caught:
        stage.take(1)
    after = [*setup.model.parameters(), *stage.weighting.parameters()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert find_cause(setup, stage, caught.value) == (
        "the gradient of the weighting's own parameters is not finite at step 2"
    )
