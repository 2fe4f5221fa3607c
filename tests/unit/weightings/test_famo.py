"""FAMO: TorchJD's values, given the losses of the next step, and the rates that it equalises."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torchjd import scalarization

from tartan import Signals
from tartan_weightings.famo import FAMO, FAMOOptions

NAMES = ("task", "a", "b")


def made(**options: float) -> FAMO:
    return FAMO(FAMOOptions(**options), NAMES)


def losses(step: int) -> Tensor:
    return torch.rand(3, generator=torch.Generator().manual_seed(step)) + 0.1


@pytest.mark.parametrize("decay", [1e-3, 0.5])
def test_weights_are_torchjds_if_it_is_given_the_same_losses(decay: float):
    ours, theirs = made(weight_decay=decay), scalarization.FAMO(3, lr=0.025, weight_decay=decay)
    for step in range(12):
        values = losses(step).requires_grad_()
        if step:
            theirs.update(values.detach())
        theirs(values).backward()
        ours.update(Signals(values.detach(), ours.weights()))
        assert_close(ours.weights(), values.grad)
    assert not torch.allclose(ours.logits, torch.zeros(3))


def test_the_loss_that_stands_still_gains_weight():
    weighting, values = made(weight_decay=0.0), torch.tensor([1.0, 1.0, 1.0])
    for _ in range(20):
        weighting.update(Signals(values, weighting.weights()))
        values = values * torch.tensor([1.0, 0.9, 0.8])
    shares = weighting.logits.softmax(0).tolist()
    assert shares[0] > shares[1] > shares[2]


def test_a_batch_without_items_changes_no_weight():
    """Its loss is 0; a loss that small would take all of the weight."""
    weighting, values = made(), torch.tensor([1.0, 2.0, 4.0])
    weighting.update(Signals(values, weighting.weights()))
    before = weighting.weights()
    weighting.update(Signals(values * torch.tensor([1.0, 0.0, 1.0]), before))
    assert_close(weighting.weights(), before)
