"""Recorder: makes CUDA graphs of work on tensors that stay where they are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Protocol

import torch
from torch import Tensor

from tartan.errors import ModelError, first_line

Work = Callable[[], list[Tensor]]
"""Computes tensors from others that stay where they are."""


class WaitsError(Exception):
    """Work that waits for the device, which cannot be recorded."""


class Recorder(Protocol):
    """Records work so that it can be repeated."""

    def warm_up(self, work: Callable[[], Any]) -> None:
        """Do work once without recording it, as libraries set themselves up in it.

        Raises:
            WaitsError: it cannot be recorded.
        """

    def record(self, work: Work) -> tuple[list[Tensor], Callable[[], None]]:
        """Record work.

        Returns:
            Its results, and what repeats it, which writes to the same results.

        Raises:
            ModelError: it could not be recorded.
        """


class CudaRecorder:
    """Records CUDA graphs. All of them use one pool of memory: none may run during another."""

    def __init__(self, device: torch.device) -> None:
        """Take a stream and a pool of a device."""
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()
        self._first = True

    def warm_up(self, work: Callable[[], Any]) -> None:
        """Do work on the stream on which it is recorded; random generators stay as they are."""
        state = torch.cuda.get_rng_state(self._device)
        now = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(now)
        # The switch is that of the process: later, a thread that makes batches would be stopped.
        with torch.cuda.stream(self._stream), _no_wait() if self._first else nullcontext():
            work()
        self._first = False
        now.wait_stream(self._stream)
        torch.cuda.set_rng_state(state, self._device)

    def record(self, work: Work) -> tuple[list[Tensor], Callable[[], None]]:
        """Record a graph; other threads may use the device meanwhile."""
        torch.cuda.synchronize(self._device)
        torch.cuda.empty_cache()  # what the warm-up took on its stream
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(self._stream):
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                results = work()
                graph.capture_end()
            except BaseException as error:
                with suppress(RuntimeError):  # the first error is the reason
                    graph.capture_end()
                if not isinstance(error, RuntimeError) or isinstance(error, torch.OutOfMemoryError):
                    raise
                reason = first_line(error)  # the state of torch's generators is undefined
                raise ModelError(
                    f"layers cannot be recorded as a CUDA graph ({reason}): set cuda_graphs=false"
                ) from error
        return results, graph.replay


@contextmanager
def _no_wait() -> Iterator[None]:
    """Raise WaitsError where a block waits for the device."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    except RuntimeError as error:
        if "synchronizing" not in str(error):
            raise
        raise WaitsError(first_line(error)) from error
    finally:
        torch.cuda.set_sync_debug_mode(before)
