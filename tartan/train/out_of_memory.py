"""Out of memory: recognised among other errors, and reported with the option to lower."""

import errno
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from tartan.errors import OutOfMemoryError
from tartan.sizes import amount
from tartan.train.runtime import Runtime

WORDS = re.compile(
    r"DefaultCPUAllocator|not enough memory|out of memory|cannot allocate memory|bad_alloc"
    r"|could not (create|execute) a (primitive|memory)(?! desc)"  # oneDNN
    r"|(CUBLAS|CUDNN|CUSOLVER|CUSPARSE)_STATUS_ALLOC_FAILED|cudaErrorMemoryAllocation",
    re.IGNORECASE,
)
"""What errors without a class of their own say where memory is refused."""


@contextmanager
def explained(runtime: Runtime, place: str, remedy: str) -> Iterator[None]:
    """OutOfMemoryError, with the place and what to do, where the block needs too much memory."""
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not recognised(error):
            raise
        raise refusal(error, runtime, place, remedy) from error


def recognised(error: BaseException) -> bool:
    """Return whether an error says that memory was refused."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and bool(WORDS.search(str(error)))


def refusal(
    error: BaseException, runtime: Runtime | None, place: str, remedy: str
) -> OutOfMemoryError:
    """Return the error that reports where memory ran out.

    Args:
        error: what was raised.
        runtime: where it was computed, if that is known.
        place: what needed the memory.
        remedy: which option to lower.
    """
    figures = [f"{requested(error)} more were requested"] if requested(error) else []
    if runtime is not None:
        figures.append(f"peak use {amount(runtime.peak_memory())} on {runtime.device}")
    known = f" ({', '.join(figures)})" if figures else ""
    return OutOfMemoryError(f"out of memory in {place}{known}: {remedy}")


def batch_shape(lengths: Sequence[int]) -> str:
    """Return the size of a batch: `32 sequences of at most 128 tokens, 2048 tokens in all`."""
    return (
        f"{len(lengths)} sequences of at most {max(lengths)} tokens, {sum(lengths)} tokens in all"
    )


def requested(error: BaseException) -> str:
    """Return how much memory was requested, `20.00 MiB`, or nothing if the error does not say."""
    text = str(error)
    if found := re.search(r"Tried to allocate ([\d.]+ \w+)", text):
        return found[1]
    if found := re.search(r"tried to allocate (\d+) bytes", text):
        return amount(int(found[1]))
    return ""
