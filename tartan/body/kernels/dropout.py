"""Dropout with cheap random numbers on a CPU.

torch draws one number of the Mersenne Twister for each element, which takes a quarter of a step's
time. Here SFC64 draws 64 bits at a time, enough for four elements.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 1 << 16
"""Probabilities are rounded to multiples of 1 / LEVELS; the scale follows the rounded one."""


def keep(
    shape: tuple[int, ...], p: float, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, float]:
    """Draw the mask of a dropout, on the CPU, from one number of torch's default generator.

    Args:
        shape: of the mask.
        p: probability that an element is dropped, at least 0 and below 1, rounded to 1 / LEVELS.
        dtype: of the mask; a product of two tensors of the same dtype is several times as fast as
            one with a mask of bool.

    Returns:
        [shape] of the dtype, 1 where an element is kept and 0 elsewhere; and the factor that keeps
        the expectation.
    """
    seed = int(torch.empty((), dtype=torch.int64).random_())
    count = int(np.prod(shape))
    words: Any = np.random.SFC64(seed).random_raw(-(-count // 4))
    draws = torch.from_numpy(words.view(np.int16)[:count]).view(shape)
    dropped = min(round(p * LEVELS), LEVELS - 1)
    kept = torch.ge(draws, dropped - LEVELS // 2, out=torch.empty(shape, dtype=dtype))
    return kept, LEVELS / (LEVELS - dropped)


def scale(values: Tensor, kept: Tensor, factor: float) -> Tensor:
    """Return values times a mask of `keep`, of their shape and dtype, times its factor."""
    return torch.addcmul(values.new_zeros(()), values, kept, value=factor)


class _Dropout(torch.autograd.Function):
    """Dropout with a given mask, which is all that it saves."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, kept: Tensor, factor: float) -> Tensor:
        ctx.save_for_backward(kept)
        ctx.factor = factor
        return scale(values, kept, factor)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (kept,) = ctx.saved_tensors
        return scale(grads[0].contiguous(), kept, ctx.factor), None, None


def dropout(values: Tensor, p: float) -> Tensor:
    """Drop each element with probability p, and scale the others by 1 / (1 - p)."""
    if p == 0 or values.device.type != "cpu":
        return functional.dropout(values, p)
    kept, factor = keep(tuple(values.shape), p, values.dtype)
    dropped: Tensor = _Dropout.apply(values.contiguous(), kept, factor)  # type: ignore[no-untyped-call]
    return dropped


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` that uses `dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input; in training mode, with elements dropped."""
        if torch.compiler.is_compiling():  # compiled kernels draw as fast
            return super().forward(input)
        return dropout(input, self.p) if self.training else input


def replace_dropout(model: nn.Module) -> None:
    """Replace every `torch.nn.Dropout` of a model by `Dropout`."""
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p).train(child.training))
