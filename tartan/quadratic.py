"""Small quadratic programs, solved exactly on the device without waiting for it."""

import torch
from torch import Tensor

RIDGE = 1e-6
"""Share of the largest diagonal entry that is added to the diagonal: it makes minima unique."""
MOST = 12
"""The most variables: every subset of them is a candidate."""


def minimise(matrix: Tensor, linear: Tensor, *, simplex: bool = False) -> Tensor:
    """Return the x >= 0 that minimises x'Qx/2 - b'x; with `simplex`, among x that sum to 1.

    For each subset of the variables, the minimum where the others are 0 solves a linear system.
    All are solved at once. The answer is the one with the smallest value among those that are
    nowhere negative. Where the minimum without the ridge is at infinity, x is large but finite.

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
    linear = linear.double()
    quadratic = _ridged(matrix.double())
    subsets = _subsets(count, quadratic.device)[int(simplex) :]  # on the simplex, none is empty
    chosen = _solve(quadratic, linear, subsets, simplex)
    values = ((chosen @ quadratic) * chosen).sum(1) / 2 - chosen @ linear
    scale = chosen.abs().amax(1, keepdim=True)
    valid = (chosen >= -1e-9 * scale).all(1) & chosen.isfinite().all(1)
    best = torch.where(valid, values, torch.inf).argmin()
    return chosen.index_select(0, best[None])[0].clamp(min=0)


def _ridged(matrix: Tensor) -> Tensor:
    """Return a matrix, [n, n], with a small multiple of the identity added."""
    largest = matrix.diagonal().max().clamp_min(torch.finfo(torch.float32).tiny)
    return matrix + torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device) * (
        RIDGE * largest
    )


def _subsets(count: int, device: torch.device) -> Tensor:
    """Return every subset of `count` variables as a row of [2 ** count, count] bool."""
    numbers = torch.arange(2**count, device=device)
    return (numbers[:, None] >> torch.arange(count, device=device)) & 1 > 0


def _solve(quadratic: Tensor, linear: Tensor, subsets: Tensor, simplex: bool) -> Tensor:
    """Return the minimum within each subset, [subsets, n]; it may be negative."""
    identity = torch.eye(len(linear), dtype=linear.dtype, device=linear.device)
    scale = quadratic.diagonal().max()
    inside = subsets[:, :, None] & subsets[:, None, :]
    systems = torch.where(inside, quadratic / scale, identity)
    sides = torch.where(subsets, linear / scale, 0)
    if not simplex:
        return _inverse_times(systems, sides)
    member = subsets.to(linear)
    both = torch.stack([sides, member], -1)
    free, pull = _inverse_times(systems, both).unbind(-1)
    # With the multiplier m of the sum, x = free - m * pull within the subset, and sums to 1.
    multiplier = ((free * member).sum(1) - 1) / (pull * member).sum(1)
    solved: Tensor = (free - multiplier[:, None] * pull) * member
    return solved


def _inverse_times(systems: Tensor, sides: Tensor) -> Tensor:
    """Solve linear systems without the check that waits for the device."""
    solution: Tensor = torch.linalg.solve_ex(systems, sides)[0]
    return solution
