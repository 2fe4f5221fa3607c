"""Out of memory: recognised among other errors, and reported with the options to lower."""

import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

import torch

from tartan.body import Body
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


def advice(
    names: Sequence[str],
    lengths: Sequence[int],
    primary: str,
    body: Body,
    limits: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, str]:
    """Return where memory ran out, and which options to change.

    Args:
        names: what was computed: objectives, or one name of another part of a step.
        lengths: of the sequences that it was computed on; empty where there are none.
        primary: the end task's name.
        body: the shared encoder.
        limits: by objective, the option that limits its batches; `batch_size` of those left out.
    """
    place = " and ".join(names)
    if names == ("the dev gradient",):
        sizes = "weighting.probe.fit_batch_size and weighting.probe.grad_batch_size"
        return place, f"lower {sizes}{_savers(body, lengths)}, or choose a smaller model"
    if not lengths:
        return place, "choose a smaller model"
    options = [
        f"{'primary' if name == primary else f'objectives.{name}'}.{limits.get(name, 'batch_size')}"
        for name in names
    ]
    if len(names) > 1:
        by_tokens = [option for option in options if option.endswith(".max_tokens")]
        by_rows = ["batch_size"] if len(by_tokens) < len(options) else []
        options = by_rows + by_tokens
    size = " and ".join(options)
    return f"{place}, {batch_shape(lengths)}", (
        f"lower {size}, which a higher accumulate makes up for, or model.max_length"
        f"{_savers(body, lengths)}"
    )


def _savers(body: Body, lengths: Sequence[int]) -> str:
    """Return the options of `model` that save memory and are not used yet."""
    tokens = sum(lengths) if body.max_tokens is None else min(body.max_tokens, sum(lengths))
    options = [] if body.checkpointed else ["model.gradient_checkpointing=true"]
    if tokens // 2 >= max(lengths, default=1):
        options.append(f"model.max_tokens_per_pass={tokens // 2}")
    return f"; or set {' or '.join(options)}" if options else ""
