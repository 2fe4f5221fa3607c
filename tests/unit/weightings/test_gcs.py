"""Gradient cosine similarity: what the paper promises of it."""

import pytest
import torch
from torch.testing import assert_close

from support.steps import gradients, signals
from tartan_weightings.gcs import GCS, GCSOptions


@pytest.mark.parametrize("step", range(20))
def test_the_update_never_leaves_the_end_tasks_half_space(step: int):
    rows = gradients(4, step, size=3)
    update = GCS(GCSOptions(), ("task", "a", "b", "c")).combine(signals(rows)) @ rows
    assert update @ rows[0] >= rows[0] @ rows[0] - 1e-5


def test_weights_are_the_cosines():
    rows = torch.tensor([[3.0, 0.0], [1.0, 1.0], [-2.0, 5.0]])
    weights = GCS(GCSOptions(), ("task", "a", "b")).combine(signals(rows))
    assert_close(weights, torch.tensor([1.0, 0.5**0.5, 0.0]))


def test_lengths_do_not_matter():
    rows = gradients(3)
    weighting = GCS(GCSOptions(), ("task", "a", "b"))
    scaled = rows * torch.tensor([[1.0], [1e3], [1e-3]])
    assert_close(weighting.combine(signals(rows)), weighting.combine(signals(scaled)))
