"""A loss is multiplied by its objective's scale, which follows a schedule over each stage."""

import math

import pytest
import torch
from torch.testing import assert_close

from support import experiments
from support.command import SMALL
from tartan import ConfigError, Signals
from tartan.experiment.build import Experiment
from tartan.train.objective_scale import SCHEDULES, ObjectiveScale
from tartan.train.stage import Stage

pytestmark = pytest.mark.heavy


def built(*overrides: str) -> Experiment:
    return experiments.built(*SMALL, "objectives=[mlm]", "model.dropout=0", *overrides)


def measured(*overrides: str, step: int = 0, first: int = 0) -> tuple[Signals, torch.Tensor]:
    """The signals of a step, and the gradient of the body; nothing is trained before it."""
    experiment = built(*overrides)
    stage = Stage(experiment.setup, experiment.stages["joint"], first=first)
    signals, _ = stage.step.measure(step)
    gradients = [p.grad.flatten() for p in experiment.setup.model.shared() if p.grad is not None]
    return signals, torch.cat(gradients)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [2, 2, 2, 2]),
        ("linear", [2, 1.5, 1, 0.5]),
        ("cosine", [2, 1 + math.sqrt(0.5), 1, 1 - math.sqrt(0.5)]),
        ("linear_up", [0.5, 1, 1.5, 2]),
        ("cosine_up", [1 - math.sqrt(0.5), 1, 1 + math.sqrt(0.5), 2]),
    ],
)
def test_a_schedule_spans_the_steps_of_a_stage(schedule: str, expected: list[float]):
    scale = ObjectiveScale(2.0, schedule)
    assert [scale.factor(taken, 4) for taken in range(4)] == pytest.approx(expected)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_step_has_factor_0(schedule: str):
    assert all(0 < ObjectiveScale(1.0, schedule).factor(taken, 50) <= 1 for taken in range(50))


def test_the_weighting_sees_the_scaled_loss_and_gradient():
    """META: the norm of the gradient is scaled too, and the dev gradient and cosines are not."""
    plain, _ = measured("weighting=meta")
    scaled, _ = measured("weighting=meta", "objectives.mlm.scale=0.25")
    factors = torch.tensor([1.0, 0.25])
    assert_close(scaled.losses, plain.losses * factors)
    assert scaled.norms is not None
    assert plain.norms is not None
    assert_close(scaled.norms, plain.norms * factors)
    assert scaled.dev is not None
    assert plain.dev is not None
    assert_close(scaled.dev, plain.dev * factors)
    assert_close(scaled.dev_norm, plain.dev_norm)
    assert_close(scaled.alignment, plain.alignment)


@pytest.mark.parametrize("weighting", ["static", "pcgrad"])
def test_the_step_is_that_of_the_scaled_loss(weighting: str):
    """Static weights: each unit of the scale adds the same gradient. PCGrad weighs what it sees."""
    one, two, three = (
        measured(f"weighting={weighting}", f"objectives.mlm.scale={scale}", "accumulate=2")[1]
        for scale in (1, 2, 3)
    )
    assert not torch.equal(one, two)
    if weighting == "static":
        assert_close(three - two, two - one, rtol=1e-4, atol=1e-6)


def test_the_end_task_has_a_scale_too():
    plain, _ = measured()
    scaled, _ = measured("primary.scale=3")
    assert_close(scaled.losses, plain.losses * torch.tensor([3.0, 1.0]))


def test_a_schedule_begins_with_its_stage():
    """Step 9 of a run is step 3 of a stage of 6 that begins at step 6."""
    overrides = ["objectives.mlm.schedule=linear", "steps=6"]
    plain, _ = measured("steps=6", step=9, first=6)
    scaled, _ = measured(*overrides, step=9, first=6)
    assert_close(scaled.losses, plain.losses * torch.tensor([1.0, 0.5]))


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            ["objectives.mlm.scale=0"],
            "objectives.mlm.scale must be in (0, 1e+06], got 0: to train without an objective, "
            "leave it out.",
        ),
        (["objectives.mlm.scale=-1"], "objectives.mlm.scale must be in (0, 1e+06], got -1: to"),
        (["objectives.mlm.scale=1e9"], "objectives.mlm.scale must be in (0, 1e+06], got 1e+09: to"),
        (
            ["objectives.mlm.schedule=linaer"],
            "objectives.mlm.schedule=linaer: did you mean 'linear'?",
        ),
        (
            ["schedule=paired_pretrain", "objectives=[tapt]", "objectives.tapt.scale=2"],
            "objectives.tapt.scale=2.0: tapt trains alone in every stage, and a scale is relative "
            "to other objectives: set optimizer.body_lr and optimizer.head_lr instead.",
        ),
        (
            ["objectives=[]", "primary.schedule=cosine"],
            "primary.schedule=cosine: classification trains alone in every stage, and a scale is",
        ),
    ],
)
def test_a_scale_without_meaning_is_refused(overrides: list[str], line: str):
    with pytest.raises(ConfigError) as caught:
        built(*overrides)
    assert str(caught.value).startswith(line)
