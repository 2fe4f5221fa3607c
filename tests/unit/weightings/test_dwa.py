"""Dynamic weight average: TorchJD's values over several blocks."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torchjd import scalarization

from tartan import Signals
from tartan_weightings.dwa import DWA, DWAOptions

NAMES = ("task", "a", "b")


def made(**options: float) -> DWA:
    return DWA(DWAOptions(**options), NAMES)


def losses(step: int) -> Tensor:
    return torch.rand(3, generator=torch.Generator().manual_seed(step)) + 0.1


def test_weights_are_torchjds_with_blocks_for_epochs():
    ours, theirs = made(every=3), scalarization.DWA(temperature=2.0)
    for step in range(15):
        values = losses(step).requires_grad_()
        theirs(values).backward()
        assert_close(ours.weights(), values.grad)
        ours.update(Signals(values.detach(), ours.weights()))
        if step % 3 == 2:
            theirs.step()
    assert len(set(ours.weights().tolist())) == 3


def test_a_loss_that_does_not_fall_counts_more_than_one_that_does():
    weighting = made(every=1)
    for fallen in (1.0, 0.5, 0.25):
        weighting.update(Signals(torch.tensor([1.0, fallen, 1.0]), weighting.weights()))
    first, second, third = weighting.weights().tolist()
    assert first == third > second
    assert first + second + third == pytest.approx(3)
