"""Dropout on a CPU: the right share, the right scale, and a function of the seed."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tartan.body.kernels.dropout import Dropout, dropout, keep, replace_dropout


@pytest.mark.parametrize("p", [0.0, 0.001, 0.1, 0.5, 0.9])
def test_each_element_is_dropped_with_the_probability(p):
    torch.manual_seed(0)
    kept, factor = keep((1000, 1000), p)
    spread = (p * (1 - p) / 1e6) ** 0.5
    assert abs(1 - kept.mean().item() - p) < 5 * spread + 1 / 65536
    assert factor == pytest.approx(1 / (1 - p), abs=2e-3 if p == 0.9 else 1e-4)


def test_elements_are_dropped_independently():
    torch.manual_seed(1)
    kept, _ = keep((400, 512), 0.3)
    correlation = torch.corrcoef(kept.T)
    correlation.fill_diagonal_(0)
    assert correlation.abs().max() < 6 / 400**0.5
    assert not torch.equal(*kept.chunk(2))


def test_the_expectation_stays():
    torch.manual_seed(2)
    assert_close(dropout(torch.ones(2000, 500), 0.1).mean(), torch.tensor(1.0), atol=2e-3, rtol=0)


def test_it_follows_from_torchs_seed_and_two_draws_differ():
    values = torch.randn(7, 5)
    torch.manual_seed(3)
    first, second = dropout(values, 0.5), dropout(values, 0.5)
    torch.manual_seed(3)
    assert torch.equal(dropout(values, 0.5), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_is_the_same_elements_at_the_same_scale(dtype):
    values = torch.randn(6, 9, dtype=dtype).requires_grad_()
    out = dropout(values, 0.25)
    grad = torch.randn(6, 9, dtype=dtype)
    out.backward(grad)
    kept, factor = out != 0, 65536 / (65536 - 16384)
    assert out.dtype == dtype
    assert_close(values.grad, grad * kept * factor)
    assert_close(out, values * kept * factor)


def test_any_layout_of_memory_and_no_element_at_all():
    assert dropout(torch.randn(4, 6).T, 0.5).shape == (6, 4)
    assert dropout(torch.empty(0, 3), 0.5).shape == (0, 3)


def test_a_models_own_dropouts_are_replaced_and_nothing_else():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3), nn.Sequential(nn.AlphaDropout(0.2)))
    names = list(model.state_dict())
    model.eval()
    replace_dropout(model)
    assert type(model[1]) is Dropout
    assert (model[1].p, model[1].training) == (0.3, False)
    assert type(model[2][0]) is nn.AlphaDropout
    assert list(model.state_dict()) == names
    values = torch.randn(3, 2)
    assert torch.equal(model[1](values), values)
