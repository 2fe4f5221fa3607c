"""Evaluation mode for as long as a block runs."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode while a block runs, then each module into its own mode.

    A module may have a mode other than its parent's, such as a BatchNorm whose statistics are kept.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        model.train(modes[0][1])
        for module, training in modes:  # parents first, whose mode their children get
            if training != module.training:
                module.train(training)
