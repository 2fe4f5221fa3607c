"""Out of memory: told from other errors, and put into a line that says which option to lower."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from tartan.errors import OutOfMemoryError
from tartan.train.runtime import Runtime

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


@contextmanager
def explained(runtime: Runtime, place: str, remedy: str) -> Iterator[None]:
    """OutOfMemoryError, with the place and what to do, where the block needs too much memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not recognised(error):
            raise
        raise refusal(error, runtime, place, remedy) from error


def recognised(error: BaseException) -> bool:
    """Whether memory is what an error is about; the CPU's allocator has no class of its own."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def refusal(
    error: BaseException, runtime: Runtime | None, place: str, remedy: str
) -> OutOfMemoryError:
    """What to say where memory ran out.

    Args:
        error: what was raised.
        runtime: where it was computed, if that is known.
        place: what needed the memory.
        remedy: which option to lower.
    """
    figures = [f"{asked(error)} more were asked for"] if asked(error) else []
    if runtime is not None:
        figures.append(f"{amount(runtime.peak_memory())} were in use at most on {runtime.device}")
    told = f" ({', '.join(figures)})" if figures else ""
    return OutOfMemoryError(f"out of memory in {place}{told}: {remedy}")


def batch_shape(lengths: Sequence[int]) -> str:
    """The size of a batch: `32 sequences of at most 128 tokens, 2048 tokens in all`."""
    return (
        f"{len(lengths)} sequences of at most {max(lengths)} tokens, {sum(lengths)} tokens in all"
    )


def asked(error: BaseException) -> str:
    """How much memory was asked for, as far as the error says: `20.00 MiB`; or nothing."""
    text = str(error)
    if found := re.search(r"Tried to allocate ([\d.]+ \w+)", text):
        return found[1]
    if found := re.search(r"tried to allocate (\d+) bytes", text):
        return amount(int(found[1]))
    return ""


def amount(count: int) -> str:
    """A number of bytes in the largest unit that leaves at least one.

    >>> amount(3 << 29)
    '1.5 GiB'
    """
    size, unit = float(count), UNITS[0]
    for unit in UNITS:
        if size < 1024 or unit == UNITS[-1]:
            break
        size /= 1024
    return f"{size:.4g} {unit}"
