"""How the process holds on to memory."""

import ctypes
import os
import sys

TIDIED = 100
"""Steps on a CPU after which what lies free is given back."""

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Numbers of glibc's `mallopt` parameters (malloc.h)."""


def keep_freed_memory() -> None:
    """Have glibc's malloc keep what is freed, for the process to use again.

    By default it maps large blocks afresh each time, and a training step on a CPU, which frees and
    takes the same large tensors again and again, spends up to a third of its time on page faults.
    torch, where it has made no tensor yet, is told to ask for huge pages: one fault instead of 512.
    Does nothing where the environment says how malloc is to behave, or the C library is not glibc.
    """
    if not sys.platform.startswith("linux") or any(n.startswith("MALLOC_") for n in os.environ):
        return
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 2**28)


def give_back_memory() -> None:
    """Have glibc's malloc give free pages back to the system.

    Batches differ in shape, so that what is kept falls apart into more and more pieces: a process
    grew by 13 MB a step. Does nothing where `keep_freed_memory` does nothing.
    """
    if not sys.platform.startswith("linux") or any(n.startswith("MALLOC_") for n in os.environ):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
