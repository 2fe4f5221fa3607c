"""Randomness as a function of (seed, what it is for, step), never of history.

Resuming therefore needs only the step number, and adding an objective leaves the random choices
of every other objective as they were.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, independent of every other purpose's.

    >>> derive(0, "order", "mlm", 3) == derive(0, "order", "mlm", 3)
    True
    """
    digest = hashlib.blake2b(repr((seed, *purpose)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator for one purpose."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


@contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Run a block whose use of the global generators is for one purpose; restore them after it."""
    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, *purpose))
        yield
