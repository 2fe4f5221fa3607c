"""What a step holds at its peak, counted allocation by allocation."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.distributed._tools.mem_tracker import MemTracker

from tartan import Shared, Term, Weighting, backward
from tartan_weightings.meta import Meta, MetaOptions
from tartan_weightings.static import Static, StaticOptions

CPU = torch.device("cpu")
WIDTH = 256
BODY = 3 * WIDTH * WIDTH * 4
"""Bytes of the body's gradient; activations of one row are under a hundredth of it."""


def peak(make: Callable[[tuple[str, ...]], Weighting], count: int) -> int:
    """Bytes at the peak of a step over a body of three matrices: parameters, buffers, the rest."""
    body = [nn.Parameter(torch.randn(WIDTH, WIDTH) / WIDTH) for _ in range(3)]
    heads = [nn.Parameter(torch.randn(WIDTH, 1)) for _ in range(count)]
    row = torch.randn(1, WIDTH)

    def loss(head: Tensor) -> Tensor:
        hidden = row
        for matrix in body:
            hidden = hidden @ matrix
        return (hidden @ head).pow(2).sum()

    weighting, shared = make(tuple(map(str, range(count)))), Shared(body)

    def step() -> None:
        terms = [Term([partial(loss, head)], 1, [head]) for head in heads]
        backward(terms, weighting, shared, dev=Term([partial(loss, torch.ones(WIDTH, 1))]))

    step()
    tracker = MemTracker()
    with tracker:
        step()
    (counted,) = tracker.get_tracker_snapshot("peak").values()
    return int(counted["Total"])


def static(names: tuple[str, ...]) -> Weighting:
    return Static(StaticOptions(), names, CPU)


def meta(names: tuple[str, ...]) -> Weighting:
    return Meta(MetaOptions(), names, CPU)


@pytest.mark.parametrize("count", [2, 8])
def test_meta_holds_two_copies_of_the_bodys_gradient_more_than_static(count: int):
    more = peak(meta, count) - peak(static, count)
    assert more <= 2 * BODY
    assert peak(meta, count) > 4 * BODY  # the parameters, and three copies: they are counted


def test_the_peak_does_not_grow_with_the_objectives_but_by_their_heads():
    assert peak(meta, 8) - peak(meta, 2) < 0.1 * BODY


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux how much is resident")
def test_what_malloc_keeps_can_be_given_back():
    """In a process of its own: how malloc behaves is set for a whole process."""
    code = """
import torch
from tartan.train.memory import give_back_memory, keep_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

keep_freed_memory()
pieces = [torch.ones(1 << 20) for _ in range(100)]
held = pieces.pop()  # above the others: what is below it is not the heap's end
del pieces
kept = resident()
give_back_memory()
print(kept - resident())
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 300 * 2**20
