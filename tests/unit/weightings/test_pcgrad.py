"""PCGrad: TorchJD's values, and the property that the paper proves for two objectives."""

from unittest import mock

import pytest
import torch
from torch.testing import assert_close
from torchjd.aggregation import PCGradWeighting

from support.steps import gradients, signals
from tartan_weightings.pcgrad import PCGrad, PCGradOptions, project


@pytest.mark.parametrize("count", [2, 4, 8])
@pytest.mark.parametrize("step", range(5))
def test_weights_are_torchjds_for_the_same_orders(count: int, step: int):
    rows = gradients(count, step, size=3)
    orders = torch.stack([torch.randperm(count) for _ in range(count)])
    with mock.patch.object(torch, "randperm", side_effect=list(orders)):
        expected = PCGradWeighting()(rows @ rows.T)
    assert_close(project(rows @ rows.T, orders), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("step", range(20))
def test_with_two_objectives_the_update_conflicts_with_neither(step: int):
    rows = gradients(2, step, size=2)
    weights = PCGrad(PCGradOptions(), ("task", "a")).combine(signals(rows, seed=step))
    assert ((rows @ (weights @ rows)) >= -1e-5).all()


def test_without_conflict_gradients_are_added():
    rows = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    weights = PCGrad(PCGradOptions(), ("task", "a", "b")).combine(signals(rows))
    assert weights.tolist() == [1, 1, 1]
