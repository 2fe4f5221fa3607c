"""Small quadratic programs: the conditions of an optimum hold, also where minima are many."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

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


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1e3, 1e6])
@pytest.mark.parametrize("simplex", [False, True])
def test_a_variable_of_another_size_does_not_blur_the_others(size: float, simplex: bool):
    """The third is left out by both: alone, the others reach the same."""
    matrix, linear = torch.diag(torch.tensor([1.0, 1.0, size**2])), torch.tensor([0.8, 0.2, -size])
    x = minimise(matrix, linear, simplex=simplex)
    assert_close(x, torch.tensor([0.8, 0.2, 0.0], dtype=x.dtype), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", [2, 4, 8])
@pytest.mark.parametrize("seed", range(3))
def test_units_of_the_variables_do_not_matter(count: int, seed: int):
    matrix, linear = problem(count, seed, rank=count + 2)
    units = torch.logspace(-4, 4, count, dtype=torch.float64)
    x = minimise(matrix, linear)
    other = minimise(matrix.double() * torch.outer(units, units), linear.double() * units)
    assert_close(other * units, x, rtol=1e-6, atol=1e-6)


def test_more_variables_than_subsets_can_be_tried_are_refused():
    with pytest.raises(ValueError, match=r"^13 variables: 12 at the most$"):
        minimise(torch.eye(13), torch.ones(13))
