"""Verify dropout of a variable-length kernel: its random numbers cannot be compared with others.

For one seed the kernel must give one result, and another for another seed; dropout must keep the
mean; and forward and backward must drop the same weights. The latter follows from Euler's theorem:
attended values are linear in the values, so that the inner product of the values with their
gradient is that of the attended values with theirs.
"""

import torch
from torch import Tensor

from tartan.body.kernels.kernel import Kernel
from tartan.body.kernels.layout import Layout
from tartan.seeding import seeded

RATE = 0.1
LENGTHS = (96, 33, 128, 64)
CLOSE = 0.02
"""The largest relative error of both checks: rounding of half precision, and chance in the mean,
whose standard error is below 0.002."""


def reason_against_dropout(
    kernel: Kernel, heads: int, head_dim: int, device: torch.device, dtype: torch.dtype
) -> str | None:
    """Return why a kernel's dropout cannot be used; None if it can."""
    tokens = sum(LENGTHS)
    layout = Layout(LENGTHS, device)
    steps = torch.arange(tokens * heads * head_dim, device=device)
    query, key, value = (
        (steps * factor).sin().view(tokens, heads, head_dim).to(dtype)
        for factor in (0.37, 0.53, 0.71)
    )
    value = value.requires_grad_()

    def attend(seed: int, values: Tensor) -> Tensor:
        with seeded(seed, "dropout of a kernel"):
            return kernel(query, key, values, layout, dropout=RATE, scaling=None, window=None)

    one, again, other = (attend(seed, value) for seed in (0, 0, 1))
    if not torch.equal(one, again) or torch.equal(one, other):
        return "its dropout does not depend on the seed alone"
    (gradient,) = torch.autograd.grad(one, value, one.detach())
    expected = one.detach().double().square().sum()
    error = ((gradient.double() * value.detach().double()).sum() / expected - 1).abs()
    if not error < CLOSE:
        return "its backward pass drops other weights than its forward pass"
    mean = attend(2, torch.ones_like(value)).float().mean()
    return None if (mean - 1).abs() < CLOSE else f"its dropout changes the mean to {mean:.3f}"
