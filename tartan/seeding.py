"""Random numbers as a function of (seed, purpose, step), never of earlier random numbers.

Resuming therefore needs only the step number, and adding an objective leaves the random choices
of every other objective as they were.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """Return a 63-bit seed for one purpose, independent of every other purpose's.

    >>> derive(0, "order", "mlm", 3) == derive(0, "order", "mlm", 3)
    True
    """
    digest = hashlib.blake2b(repr((seed, *purpose)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Return a CPU generator for one purpose."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


@contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Seed torch's own generators for one purpose within a block, and restore them after it.

    Of several GPUs, only the current one's generator is seeded, read and restored.
    """
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        seed_generators(derive(seed, *purpose))
        yield


def seed_generators(seed: int) -> None:
    """Seed torch's own generators; of several GPUs, the current one's."""
    if torch.cuda.is_initialized():
        torch.default_generator.manual_seed(seed)
        torch.cuda.manual_seed(seed)
    else:
        torch.manual_seed(seed)  # other accelerators' too
