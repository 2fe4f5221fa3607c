"""How the process allocates memory: settings of a command, not of the library."""

import ctypes
import os
import sys
from threading import Event

TIDIED = 100
"""Steps on a CPU after which free memory is returned to the system."""

ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
"""Variables that torch's allocator for GPUs reads when it is first used; the older name last."""

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Numbers of glibc's `mallopt` parameters (malloc.h)."""

_KEEPS = Event()
"""Set once `keep_freed_memory` has set up this process."""


def keep_freed_memory() -> None:
    """Have glibc's malloc keep freed memory for the process to reuse. Commands call this.

    By default malloc maps a large block each time it is allocated. A training step on a CPU, which
    frees and allocates the same large tensors again and again, then spends up to a third of its
    time on page faults. torch, if it has made no tensor yet, will request huge pages, with one
    fault instead of 512.

    Does nothing about malloc without glibc, or if the environment sets its behaviour (MALLOC_...).
    On a GPU torch's allocator then extends the pieces it keeps, since batches differ in size,
    unless the environment says how it allocates.
    """
    if sys.platform.startswith("linux") and not any(name in os.environ for name in ALLOCATOR):
        os.environ[ALLOCATOR[0]] = "expandable_segments:True"
    if not sys.platform.startswith("linux") or any(n.startswith("MALLOC_") for n in os.environ):
        return
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 2**28)
        _KEEPS.set()


def give_back_memory() -> None:
    """Return freed memory to the system in a process that `keep_freed_memory` has set up.

    Batches differ in shape, so that kept memory is split into ever more pieces: a process grew by
    13 MB a step.
    """
    if not _KEEPS.is_set():
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
