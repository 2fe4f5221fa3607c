"""AuxiNash: the bargain's equation, its derivative, and preferences that follow the dev loss."""

import pytest
import torch
from torch.testing import assert_close

from support.steps import gradients, signals, take
from tartan import Needs
from tartan_weightings.auxinash import AuxiNash, AuxiNashOptions, bargain, benefit, normal

NAMES = ("task", "a", "b")


def made(**options: float) -> AuxiNash:
    return AuxiNash(AuxiNashOptions(**options), NAMES)


@pytest.mark.parametrize("count", [2, 4, 8])
@pytest.mark.parametrize("step", range(5))
def test_the_bargain_satisfies_its_equation(count: int, step: int):
    rows = gradients(count, step, size=20)
    preferences = torch.rand(count, generator=torch.Generator().manual_seed(step)).double()
    preferences /= preferences.sum()
    cosine, _ = normal(rows @ rows.T)
    x = bargain(cosine, preferences)
    assert (x > 0).all()
    assert_close(cosine @ x, preferences / x, rtol=1e-9, atol=1e-9)


def test_of_opposite_gradients_the_preferred_one_wins():
    cosine, _ = normal(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
    one, other = bargain(cosine, torch.tensor([0.9, 0.1], dtype=torch.float64)).tolist()
    assert one > other


def test_an_objectives_scale_does_not_change_the_direction():
    rows = gradients(3, size=20)
    one = made().combine(signals(rows)) @ rows
    scaled = rows * torch.tensor([[1.0], [1e3], [1e-2]])
    other = made().combine(signals(scaled)) @ scaled
    assert torch.cosine_similarity(one, other, dim=0) > 0.9999


@pytest.mark.parametrize("length", [0.1, 5.0])
def test_an_objective_without_a_gradient_leaves_the_end_tasks_weight(length: float):
    weighting = AuxiNash(AuxiNashOptions(), NAMES[:2])
    both, alone = torch.eye(2) * length, torch.tensor([[length, 0.0], [0.0, 0.0]])
    assert_close(weighting.combine(signals(both)), torch.tensor([0.5, 0.5]))
    assert_close(weighting.combine(signals(alone)), torch.tensor([0.5, 0.5]))


def test_the_benefit_of_a_preference_is_the_derivative_of_the_bargain():
    rows, gain = gradients(4, size=20), torch.tensor([0.5, -0.3, 0.2, 0.9], dtype=torch.float64)
    cosine, _ = normal(rows @ rows.T)
    preferences = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    found = benefit(cosine, preferences, bargain(cosine, preferences), gain)
    for index in range(4):
        moved = torch.eye(4, dtype=torch.float64)[index] * 1e-6
        up, down = bargain(cosine, preferences + moved), bargain(cosine, preferences - moved)
        assert_close(found[index], gain @ (up - down) / 2e-6, rtol=1e-5, atol=1e-6)


def test_the_objective_that_dev_agrees_with_gains_weight():
    weighting, rows = made(), torch.eye(3)
    for _ in range(50):
        take(weighting, signals(rows, dev=torch.tensor([0.5, 1.0, -1.0])))
    first, helpful, harmful = weighting.weights().tolist()
    assert helpful > first > harmful


def test_the_dev_gradient_is_measured_every_25th_step():
    weighting = made()
    assert [step for step in range(60) if Needs.DEV in weighting.due(step)] == [0, 25, 50]
    assert all(Needs.GRADIENTS in weighting.due(step) for step in range(60))
