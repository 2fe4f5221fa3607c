"""OL-AUX: the paper's update, and which auxiliaries it keeps."""

import torch
from torch.testing import assert_close

from support.steps import gradients, signals, take
from tartan_weightings.ol_aux import OLAUX, OLAUXOptions

NAMES = ("task", "a", "b")


def made(**options: float) -> OLAUX:
    return OLAUX(OLAUXOptions(**options), NAMES)


def test_weights_move_every_n_steps_by_the_sum_of_inner_products():
    weighting, weights = made(lr=0.1, horizon=3), torch.ones(3)
    for first in (0, 3):
        steps = [gradients(3, first + step) for step in range(3)]
        for rows in steps:
            assert_close(take(weighting, signals(rows)), weights)
        moved = weights + 0.1 * torch.stack([rows @ rows[0] for rows in steps]).sum(0)
        weights = torch.cat([torch.ones(1), moved[1:].clamp(min=0)])
        assert_close(weighting.weights(), weights)


def test_an_auxiliary_that_helps_gains_and_one_that_hurts_is_left_out():
    weighting, task = made(lr=0.1), gradients(1)[0]
    for _ in range(20):
        take(weighting, signals(torch.stack([task, task, -task])))
    first, helpful, harmful = weighting.weights().tolist()
    assert first == 1
    assert helpful > 1
    assert harmful == 0
