"""PCD: TorchJD's values over several steps, and the progress that the paper promises."""

import pytest
import torch
from torch.testing import assert_close
from torchjd.aggregation import PCDWeighting

from support.steps import gradients, signals, take
from tartan import ConfigError
from tartan_weightings.pcd import PCD, PCDOptions, prioritise

NAMES = ("task", "a", "b", "c", "d", "e", "f", "g")


def made(count: int, **options: float) -> PCD:
    return PCD(PCDOptions(**options), NAMES[:count])


@pytest.mark.parametrize("count", [1, 2, 4, 8])
@pytest.mark.parametrize("tau", [0.02, 0.5])
@pytest.mark.parametrize("size", [9, 60])
def test_weights_are_torchjds_with_its_running_means(count: int, tau: float, size: int):
    ours, theirs = made(count, tau=tau), PCDWeighting(tau)
    for step in range(5):
        rows = gradients(count, step, size) * torch.logspace(-2, 2, count)[:, None]
        expected = theirs(rows @ rows.T)
        assert_close(take(ours, signals(rows)), expected, rtol=1e-3, atol=1e-3 * expected.max())


@pytest.mark.parametrize("step", range(10))
def test_every_auxiliary_progresses_and_the_update_is_as_long_as_the_end_tasks(step: int):
    tau, rows = 0.1, gradients(4, step, size=30)
    update = made(4, tau=tau, beta=0.0).combine(signals(rows)) @ rows
    units = rows / rows.norm(dim=1, keepdim=True)
    assert_close(update.norm(), rows[0].norm())
    shares = units @ update
    assert (shares[1:] > 0).all()
    assert (units[1:] @ rows[0] < tau * rows[0].norm()).any()  # the end task alone does not


def test_with_two_objectives_it_is_the_closed_form():
    rows, tau = torch.tensor([[2.0, 0.0], [-3.0, 1.0]]), 0.02
    units = rows / rows.norm(dim=1, keepdim=True)
    direction = units[0] + max(0.0, tau - (units[0] @ units[1]).item()) * units[1]
    update = made(2, beta=0.0).combine(signals(rows)) @ rows
    assert_close(update, direction / direction.norm() * 2, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("share", [0.2, 0.04, 1e-3, 1e-5])
@pytest.mark.parametrize("tau", [0.0, 0.02, 0.5])
def test_an_auxiliary_far_below_its_running_mean_keeps_its_constraint(share: float, tau: float):
    """Its gradient, as that of an objective that is almost learned, opposes the end task's."""
    rows = torch.tensor([[1.0, 0.0, 0.0], [-0.5 * share, 0.75**0.5 * share, 0.0], [0.0, 0.0, 1.0]])
    gramian = (rows @ rows.T).double()
    progress = prioritise(gramian, torch.ones(3).double(), tau) @ gramian
    assert (progress[1:] >= (0.9 * tau - 1e-7) * gramian.diagonal()[1:] - 1e-9 * share).all()


@pytest.mark.parametrize("share", [1.0, 1e-2, 1e-4])
def test_short_auxiliaries_that_no_direction_serves_count_nothing(share: float):
    rows = torch.tensor([[1.0, 0.0], [0.0, share], [0.0, -share]])
    weights = prioritise(rows @ rows.T, torch.ones(3).double(), 0.02)
    assert weights.tolist() == pytest.approx([1.0, 0.0, 0.0])


def test_where_no_direction_serves_all_the_end_task_is_followed():
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert_close(made(3).combine(signals(rows)), torch.tensor([1.0, 0.0, 0.0]))


def test_auxiliaries_that_progress_anyway_count_nothing():
    rows = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert made(2).combine(signals(rows)).tolist() == pytest.approx([1.0, 0.0])


def test_too_many_auxiliaries_are_refused():
    with pytest.raises(ConfigError, match="weighs at most 12 auxiliaries, found 13: give fewer"):
        PCD(PCDOptions(), tuple("abcdefghijklmn"))
