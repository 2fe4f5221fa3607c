"""Recorder that computes again what a CUDA graph would repeat, for where there is no GPU.

A graph keeps what Python computed while it was recorded, and refuses work that waits for the
device. Neither shows here: the work is done again in Python.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.grad_mode import _unsafe_preserve_version_counter as unnoticed

from tartan.testing.fake_cuda.record import one_launch


class Repeating:
    """A `tartan.body.graphs.Recorder`. Work counts as one launch each time it is repeated."""

    def __init__(self, *_: object) -> None:
        """Take any arguments, as `CudaRecorder` does."""
        self.recorded = self.repeated = 0

    def warm_up(self, work: Callable[[], Any]) -> None:
        """Do work once; random generators stay as they are."""
        state = torch.get_rng_state()
        work()
        torch.set_rng_state(state)

    def record(self, work: Callable[[], list[Tensor]]) -> tuple[list[Tensor], Callable[[], None]]:
        """Do work, and return its results and what writes to them what it computes again."""
        self.recorded += 1
        state = torch.get_rng_state()
        results = work()
        torch.set_rng_state(state)
        enabled = torch.is_grad_enabled()

        def repeat() -> None:
            self.repeated += 1
            with one_launch("graph"), torch.set_grad_enabled(enabled):
                again = work()
                with torch.no_grad(), unnoticed(tuple(results)):
                    for old, new in zip(results, again, strict=True):
                        old.copy_(new)

        return results, repeat
