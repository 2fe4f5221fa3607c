"""Small quadratic programs: the conditions of an optimum hold, also where minima are many."""

import pytest
import torch
from torch import Tensor

from tartan import minimise


def problem(count: int, seed: int, rank: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    rows = torch.randn(count, rank, generator=rng)
    return rows @ rows.T, torch.randn(count, generator=rng)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
@pytest.mark.parametrize("seed", range(5))
def test_without_a_sum_no_variable_can_lower_the_value(count: int, seed: int):
    matrix, linear = problem(count, seed, rank=count + 2)
    x = minimise(matrix, linear)
    slope = matrix.double() @ x - linear
    assert (x >= 0).all()
    assert (slope[x == 0] >= -1e-4).all()
    assert (slope[x > 0].abs() < 1e-4).all()


@pytest.mark.parametrize("rank", [1, 9])
@pytest.mark.parametrize("count", [1, 2, 4, 8])
@pytest.mark.parametrize("seed", range(5))
def test_on_the_simplex_all_variables_in_use_have_the_least_slope(count: int, seed: int, rank: int):
    matrix, linear = problem(count, seed, rank)
    x = minimise(matrix, linear, simplex=True)
    slope = matrix.double() @ x - linear
    assert (x >= 0).all()
    assert abs(x.sum() - 1) < 1e-6
    assert (slope[x > 1e-6] - slope.min() < 1e-4).all()


def test_equal_variables_share_equally():
    x = minimise(torch.ones(3, 3), torch.zeros(3), simplex=True)
    assert torch.allclose(x, torch.full((3,), 1 / 3, dtype=x.dtype), atol=1e-4)


def test_more_variables_than_subsets_can_be_tried_are_refused():
    with pytest.raises(ValueError, match=r"^13 variables: 12 at the most$"):
        minimise(torch.eye(13), torch.ones(13))
