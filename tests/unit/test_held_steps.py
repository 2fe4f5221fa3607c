"""A flag on the device holds steps back; optimisers that would ignore it are refused."""

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from tartan import ConfigError
from tartan.held_steps import hold


def fused() -> tuple[nn.Parameter, Optimizer]:
    parameter = nn.Parameter(torch.ones(3))
    return parameter, AdamW([parameter], lr=0.1, fused=True)


def take(parameter: nn.Parameter, optimiser: Optimizer, gradient: float) -> None:
    parameter.grad = torch.full((3,), gradient)
    optimiser.step()


def test_a_held_step_changes_neither_parameters_nor_moments_nor_its_count():
    (held, one), (free, other) = fused(), fused()
    flag = torch.zeros(())
    hold(one, flag)
    for gradient, holds in ((1.0, False), (torch.nan, True), (2.0, False)):
        flag.fill_(float(holds))
        take(held, one, gradient)
        if not holds:
            take(free, other, gradient)
    assert torch.equal(held, free)
    for key, value in one.state[held].items():
        assert torch.equal(value, other.state[free][key]), key


def test_without_a_flag_every_step_counts_again():
    parameter, optimiser = fused()
    hold(optimiser, torch.ones(()))
    take(parameter, optimiser, 1.0)
    assert torch.equal(parameter, torch.ones(3))
    hold(optimiser, None)
    take(parameter, optimiser, 1.0)
    assert not torch.equal(parameter, torch.ones(3))


@pytest.mark.parametrize(("kind", "options"), [(SGD, {}), (AdamW, {}), (AdamW, {"foreach": True})])
def test_an_optimiser_that_would_ignore_the_flag_is_refused(kind: type, options: dict):
    optimiser = kind([nn.Parameter(torch.ones(3))], lr=0.1, **options)
    with pytest.raises(ConfigError, match=rf"^{kind.__name__} cannot skip .* with fused=True$"):
        hold(optimiser, torch.ones(()))
