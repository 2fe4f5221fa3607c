"""Small quadratic programs, solved exactly on the device without waiting for it."""

import torch
from torch import Tensor

RIDGE = 1e-6
"""Share of each diagonal entry that is added to it: it makes minima unique."""
FLOOR = 1e-20
"""Share of the largest diagonal entry that the others are at least taken to be."""
MOST = 12
"""The most variables: every subset of them is a candidate."""


def minimise(matrix: Tensor, linear: Tensor, *, simplex: bool = False) -> Tensor:
    """Return the x >= 0 that minimises x'Qx/2 - b'x; with `simplex`, among x that sum to 1.

    For each subset of the variables, the minimum where the others are 0 solves a linear system.
    All are solved at once. The answer is the one with the smallest value among those that are
    nowhere negative. Each variable is measured in a unit in which its diagonal entry is 1, so that
    a large entry does not blur the others. Where the minimum without the ridge is at infinity, x is
    large but finite.

    Args:
        matrix: [n, n] float, Q, symmetric and positive semi-definite; n is at most 12.
        linear: [n] float, b.
        simplex: True where x has to sum to 1.

    Returns:
        [n] float64 on the same device.

    Raises:
        ValueError: there are more than 12 variables.
    """
    count = len(linear)
    if count > MOST:
        raise ValueError(f"{count} variables: {MOST} at the most")
    units, linear = _units(matrix.double()), linear.double()
    if simplex:  # a constant changes no minimum; of the smallest variable, `linear` is then 0
        linear = linear - linear.index_select(0, matrix.diagonal().argmin()[None])
    eye = torch.eye(count, dtype=units.dtype, device=units.device)
    quadratic = matrix.double() * torch.outer(units, units) + RIDGE * eye
    subsets = _subsets(count, units.device)[int(simplex) :]  # on the simplex, none is empty
    inverses = _inverses(quadratic, subsets)
    x = torch.zeros_like(units)
    for _ in range(2):  # the second time the ridge pulls towards the first x: its error is squared
        sides = linear * units + RIDGE * x
        chosen = _solve(inverses, sides, units if simplex else None)
        values = ((chosen @ quadratic) * chosen).sum(1) / 2 - chosen @ sides
        valid = (chosen >= 0).all(1) & chosen.isfinite().all(1)
        best = torch.where(valid, values, torch.inf).argmin()
        x = chosen.index_select(0, best[None])[0]
    return x * units


def _units(matrix: Tensor) -> Tensor:
    """Return the variables' units, [n]: with them, the diagonal entries are 1."""
    squares = matrix.diagonal()
    largest = squares.max().clamp_min(torch.finfo(torch.float32).tiny)
    return squares.clamp_min(FLOOR * largest).rsqrt()


def _subsets(count: int, device: torch.device) -> Tensor:
    """Return every subset of `count` variables as a row of [2 ** count, count] bool."""
    numbers = torch.arange(2**count, device=device)
    return (numbers[:, None] >> torch.arange(count, device=device)) & 1 > 0


def _inverses(quadratic: Tensor, subsets: Tensor) -> Tensor:
    """Return each subset's inverse, [subsets, n, n], without the check that waits for the device.

    It is that of the subset's own rows and columns, and 0 elsewhere.
    """
    identity = torch.eye(len(quadratic), dtype=quadratic.dtype, device=quadratic.device)
    inside = subsets[:, :, None] & subsets[:, None, :]
    inverses: Tensor = torch.linalg.inv_ex(torch.where(inside, quadratic, identity))[0]
    return torch.where(inside, inverses, 0)


def _solve(inverses: Tensor, sides: Tensor, units: Tensor | None) -> Tensor:
    """Return the minimum within each subset, [subsets, n]; it may be negative.

    With `units`, [n], the sum of the variables times their units is 1.
    """
    free = inverses @ sides
    if units is None:
        return free
    pull = inverses @ units
    # With the multiplier m of the sum, x = free - m * pull within the subset, and sums to 1.
    multiplier = (free @ units - 1) / (pull @ units)
    return free - multiplier[:, None] * pull
