"""Recorder: makes CUDA graphs of work on tensors that stay where they are."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

Work = Callable[[], list[Tensor]]
"""Computes tensors from others that stay where they are."""


class Recorder(Protocol):
    """Records work so that it can be repeated."""

    def warm_up(self, work: Callable[[], Any]) -> None:
        """Do work once without recording it, as libraries set themselves up in it."""

    def record(self, work: Work) -> tuple[list[Tensor], Callable[[], None]]:
        """Record work.

        Returns:
            Its results, and what repeats it, which writes to the same results.
        """


class CudaRecorder:
    """Records CUDA graphs. All of them use one pool of memory: none may run during another."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, work: Callable[[], Any]) -> None:
        """Do work on the stream on which it is recorded; random generators stay as they are."""
        state = torch.cuda.get_rng_state(self._device)
        now = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(now)
        with torch.cuda.stream(self._stream):
            work()
        now.wait_stream(self._stream)
        torch.cuda.set_rng_state(state, self._device)

    def record(self, work: Work) -> tuple[list[Tensor], Callable[[], None]]:
        """Record a graph; other threads may use the device meanwhile."""
        torch.cuda.synchronize(self._device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(self._stream):
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                results = work()
            finally:
                graph.capture_end()
        torch.cuda.current_stream(self._device).wait_stream(self._stream)
        return results, graph.replay
