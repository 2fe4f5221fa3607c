"""A bandit over objectives: ODM's probabilities, sampled exactly, learned from what is computed."""

import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from support.steps import gradients, signals
from tartan.active import Active
from tartan_weightings.bandit import Bandit, BanditOptions, inclusion, probabilities, systematic

NAMES = ("task", "a", "b", "c")


def step(weighting: Bandit, losses: list[float], indices: list[int]) -> None:
    some = Active(indices, 4, torch.device("cpu"))
    measured = signals(gradients(4), torch.tensor(losses))
    given = replace(measured, losses=measured.losses * some.mask, active=some.mask)
    weighting.update(given)


def test_probabilities_are_odms():
    """Written out: e_t = min(1/K, sqrt(ln K / K t)), p = (1 - K e_t) softmax(e_{t-1} R) + e_t."""
    rewards = torch.tensor([1.0, 2.0, 4.0])
    for taken in (1, 5, 100):
        before, now = (min(1 / 3, math.sqrt(math.log(3) / (3 * t))) for t in (taken, taken + 1))
        shares = torch.exp(before * rewards)
        expected = (1 - 3 * now) * shares / shares.sum() + now
        assert_close(probabilities(rewards, torch.tensor(taken)), expected)


def test_the_first_steps_are_uniform():
    assert_close(Bandit(BanditOptions(), NAMES).chances(), torch.tensor([1, 1 / 3, 1 / 3, 1 / 3]))


@pytest.mark.parametrize(
    ("sampled", "expected"), [(1, [0.7, 0.2, 0.1]), (2, [1, 2 / 3, 1 / 3]), (3, [1.0, 1.0, 1.0])]
)
def test_chances_are_in_proportion_and_none_is_above_1(sampled: int, expected: list[float]):
    assert_close(inclusion(torch.tensor([0.7, 0.2, 0.1]), sampled), torch.tensor(expected))


def test_systematic_sampling_has_exactly_the_given_chances():
    chances = torch.tensor([1.0, 0.55, 0.3, 0.15], dtype=torch.float64)
    rng, counts = torch.Generator().manual_seed(0), torch.zeros(4)
    for _ in range(4000):
        indices = systematic(chances, rng)
        assert len(set(indices)) == 2
        counts[indices] += 1
    assert_close(counts / 4000, chances.float(), atol=0.03, rtol=0)


def test_rounding_does_not_sample_an_index_twice(monkeypatch: pytest.MonkeyPatch):
    """The sum is just below 2, and the uniform number between it and 2."""
    chances = torch.tensor([0.3, 0.7 - 6e-8, 1.0], dtype=torch.float64)
    monkeypatch.setattr(torch, "randperm", lambda count, generator: torch.arange(count))
    monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.tensor(1 - 1e-8).double())
    assert systematic(chances, torch.Generator()) == [1, 2]


def test_rewards_are_moving_means_of_relative_losses_by_chance():
    weighting = Bandit(BanditOptions(momentum=0.5), NAMES)
    step(weighting, [9.0, 2.0, 0.0, 0.0], [0, 1])
    assert_close(weighting.rewards, torch.tensor([1.5, 0, 0]))  # 0.5 * (2 / 2) / (1/3)
    chance = weighting.chances()[1]
    step(weighting, [9.0, 1.0, 0.0, 0.0], [0, 1])
    expected = 0.5 * 1.5 + 0.5 * 0.5 / float(chance)
    assert_close(weighting.rewards, torch.tensor([expected, 0, 0]))


def test_a_batch_without_items_is_no_reward():
    weighting = Bandit(BanditOptions(momentum=0.5), NAMES)
    step(weighting, [9.0, 0.0, 0.0, 0.0], [0, 1])
    assert_close(weighting.rewards, torch.zeros(3))
    step(weighting, [9.0, 2.0, 0.0, 0.0], [0, 1])
    assert_close(weighting.rewards[0], 0.5 / weighting.chances()[1], atol=0.1, rtol=0)


def test_what_still_has_much_to_learn_is_computed_more_often():
    weighting = Bandit(BanditOptions(), NAMES)
    for number in range(300):
        rng = torch.Generator().manual_seed(number)
        indices = list(weighting.active(number, rng) or ())
        step(weighting, [1.0, 1.0, 0.1 if number > 9 else 1.0, 0.1 if number > 9 else 1.0], indices)
    chances = weighting.chances()
    assert chances[1] > chances[2] + 0.02
    assert chances[1] > chances[3] + 0.02


def test_the_objectives_of_a_step_count_alike():
    weighting = Bandit(BanditOptions(sampled=2), NAMES)
    active = torch.tensor([True, False, True, True])
    assert_close(weighting.applied(active), torch.tensor([1 / 3, 0, 1 / 3, 1 / 3]))
    assert weighting.weights().sum() == pytest.approx(1)


@pytest.mark.parametrize("names", [("task",), ("task", "a")])
def test_few_objectives_are_all_computed(names: tuple[str, ...]):
    weighting = Bandit(BanditOptions(sampled=3), names)
    assert weighting.active(0, torch.Generator()) == list(range(len(names)))
    weighting.update(signals(gradients(len(names))))
    assert weighting.weights().isfinite().all()
