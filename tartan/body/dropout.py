"""Dropout whose random numbers cost little on a CPU.

torch draws one number of the Mersenne Twister for each element, one after the other: a quarter of a
step's time. Here SFC64 draws 64 bits at once, which decide on four elements.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 1 << 16
"""Probabilities are multiples of 1 / LEVELS; what is kept is scaled by the exact one."""


def keep(
    shape: tuple[int, ...], p: float, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, float]:
    """Draw what dropout keeps, on the CPU.

    The draw follows from torch's default generator, which moves on by one number.

    Args:
        shape: of the mask.
        p: probability that an element is dropped, at least 0 and below 1, rounded to 1 / LEVELS.
        dtype: of the mask: a product with numbers of its own type is several times as fast as with
            a mask of bool.

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
    """Values times what `keep` drew, of their shape and dtype, and its factor; in one pass."""
    return torch.addcmul(values.new_zeros(()), values, kept, value=factor)


class _Dropout(torch.autograd.Function):
    """Dropout with a given mask: it holds on to the mask alone."""

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
    """Values with each element dropped with probability p, and the rest scaled up."""
    if p == 0 or values.device.type != "cpu":
        return functional.dropout(values, p)
    kept, factor = keep(tuple(values.shape), p, values.dtype)
    dropped: Tensor = _Dropout.apply(values.contiguous(), kept, factor)  # type: ignore[no-untyped-call]
    return dropped


class Dropout(nn.Dropout):
    """`torch.nn.Dropout`, drawn by `dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        """The input, in training mode with elements dropped."""
        if torch.compiler.is_compiling():  # a compiled kernel draws its own numbers as fast
            return super().forward(input)
        return dropout(input, self.p) if self.training else input


def replace_dropout(model: nn.Module) -> None:
    """Have every `torch.nn.Dropout` of a model drawn by `dropout`."""
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p).train(child.training))
