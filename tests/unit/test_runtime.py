"""Weights that stay the same are cast once, and get their gradients all the same."""

import torch
from torch import nn

from tartan.train.runtime import Runtime


def test_a_pass_without_gradient_does_not_take_it_from_later_ones():
    runtime, layer = Runtime(torch.device("cpu"), "bf16"), nn.Linear(4, 4)
    with runtime.same_weights():
        with runtime.autocast(), torch.no_grad():
            layer(torch.ones(1, 4))
        for _ in range(2):
            with runtime.autocast():
                loss = layer(torch.ones(1, 4)).float().sum()
            loss.backward()
    assert torch.equal(layer.weight.grad, torch.full((4, 4), 2.0))
