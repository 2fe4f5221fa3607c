"""float16: the factor of losses changes no gradient, and a step that overflows is taken again."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from support.command import SMALL
from support.experiments import built
from tartan import Signals
from tartan.train.finite import NonFiniteError
from tartan.train.fp16_scale import FIRST, PATIENCE, Fp16Scale
from tartan.train.stage import Stage

FINE = Signals(torch.ones(2), torch.ones(2))
NORMS = torch.ones(2)
MOVING = {"warmup": 0.0, "body_lr": 3e-3, "head_lr": 3e-3, "clip": 0.0}


def stage(precision: str, weighting: str = "meta") -> Stage:
    given = ["objectives=[mlm]", f"weighting={weighting}", *SMALL, "model.dropout=0"]
    experiment = built(*given, f"precision={precision}")
    plan = experiment.stages["joint"]
    moving = replace(plan.optimizer, **MOVING)
    return Stage(experiment.setup, replace(plan, steps=20, optimizer=moving))


def gradients(made: Stage) -> Tensor:
    parameters = made._setup.model.parameters()
    return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])


def gradient(made: Stage) -> tuple[Tensor, Signals]:
    signals, _ = made.step.measure(0)
    return gradients(made), signals


def values(made: Stage) -> Tensor:
    return torch.cat([p.detach().flatten() for p in made._setup.model.parameters()])


@pytest.mark.parametrize("weighting", ["static", "meta"])
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_agrees_with_float32(precision: str, weighting: str):
    (exact, expected), (rounded, found) = (
        gradient(stage(each, weighting)) for each in ("fp32", precision)
    )
    assert torch.nn.functional.cosine_similarity(exact, rounded, dim=0) > 0.999
    assert rounded.norm() / exact.norm() == pytest.approx(1, abs=0.02)
    if weighting == "meta":
        torch.testing.assert_close(found.norms, expected.norms, rtol=0.02, atol=1e-4)
        torch.testing.assert_close(found.dev, expected.dev, rtol=0.05, atol=1e-3)


def test_a_step_that_overflows_is_taken_again_with_a_smaller_factor():
    one, other = stage("fp16"), stage("fp16")
    assert other.step.fp16_scale is not None
    other.step.fp16_scale.factor = 2.0**40  # overflows float16 by far
    start = values(one)
    for made in (one, other):
        made.take(0)
    assert other.step.fp16_scale.factor < 2.0**40
    torch.testing.assert_close(gradients(other), gradients(one), rtol=1e-2, atol=1e-4)
    for step in (1, 2):
        for made in (one, other):
            made.take(step)
    expected, found = values(one), values(other)
    assert (expected - start).norm() > 0.1
    assert (found - expected).norm() < 0.1 * (expected - start).norm()
    saved = other.state_dict()
    fresh = stage("fp16")
    fresh.load_state_dict(saved)
    assert fresh.step.fp16_scale is not None
    assert fresh.step.fp16_scale.factor == other.step.fp16_scale.factor


def test_the_factor_follows_overflows():
    scale, bad = Fp16Scale(), NORMS * torch.inf
    assert scale.overflows(FINE, bad)
    assert scale.factor == FIRST / 2
    for _ in range(PATIENCE):
        assert not scale.overflows(FINE, NORMS)
    assert scale.factor == FIRST


def test_a_step_that_the_least_factor_does_not_help_leaves_the_factor_as_it_was():
    scale, taken = Fp16Scale(), 1
    while scale.overflows(FINE, NORMS * torch.nan):
        taken += 1
    assert taken == 1 + 16
    assert scale.factor == FIRST
    assert scale.overflows(FINE, NORMS * torch.inf)
    assert not scale.overflows(FINE, NORMS)
    assert scale.factor == FIRST / 2


def test_a_checkpoint_of_another_precision_starts_with_the_first_factor():
    made = stage("fp16")
    made.load_state_dict(stage("fp32").state_dict())
    assert made.step.fp16_scale is not None
    assert made.step.fp16_scale.factor == FIRST


def test_what_no_factor_can_help_is_left_to_the_guard():
    scale, broken = Fp16Scale(), replace(FINE, losses=torch.tensor([1.0, torch.nan]))
    assert not scale.overflows(broken, NORMS)
    scale.factor = 1.0
    assert not scale.overflows(FINE, NORMS * torch.nan)
    assert scale.state_dict()["steps"] == 0  # neither is a step without overflow
    made = stage("fp16")
    with torch.no_grad():
        next(iter(made._setup.model.body.parameters())).fill_(torch.nan)
    with pytest.raises(NonFiniteError):
        made.take(0)
