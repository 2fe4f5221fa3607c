"""What a step holds at its peak, counted allocation by allocation."""

import os
import subprocess
import sys
from functools import partial
from itertools import accumulate
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from tartan import Needs, Shared, Term, backward, cost
from tartan_weightings.static import Static, StaticOptions

WIDTH = 256
BODY = 3 * WIDTH * WIDTH * 4
"""Bytes of the body's gradient; activations of one row are under a hundredth of it."""


def peak(needs: Needs, count: int, flat: bool) -> float:
    """Copies of the body's gradient at the peak of a step, of a body of three matrices."""
    body = [nn.Parameter(torch.randn(WIDTH, WIDTH) / WIDTH) for _ in range(3)]
    heads = [nn.Parameter(torch.randn(WIDTH, 1)) for _ in range(count)]
    row = torch.randn(1, WIDTH)

    def loss(head: Tensor) -> Tensor:
        hidden = row
        for matrix in body:
            hidden = hidden @ matrix
        return (hidden @ head).pow(2).sum()

    weighting = Static(StaticOptions(), tuple(map(str, range(count))))
    terms = [Term([partial(loss, head)], 1, [head]) for head in heads]
    dev = Term([partial(loss, torch.ones(WIDTH, 1))])
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        backward(terms, weighting, Shared(body, flat=flat), dev=dev, needs=needs)
    results = profiled.profiler.kineto_results
    events = [event for event in results.events() if event.name() == "[memory]"]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(accumulate(changes)) / BODY


WAYS = [Needs.LOSSES, Needs.DEV, Needs.GRADIENTS, Needs.GRADIENTS | Needs.DEV]


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("needs", WAYS)
def test_a_step_holds_the_copies_of_the_bodys_gradient_that_are_declared(needs, count, flat):
    copies = cost(needs, count).copies
    # Autograd holds a matrix's gradient until it has been added, and where losses go back together
    # all that are not sums yet: into a buffer they are added only then.
    beside = 0.4 if needs != Needs.LOSSES or not flat else 1.4
    assert copies - 0.01 < peak(needs, count, flat) < copies + beside


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("count", [2, 8])
def test_meta_holds_two_copies_of_the_bodys_gradient_more_than_static(count, flat):
    assert peak(Needs.DEV, count, flat) - peak(Needs.LOSSES, count, flat) < 2.1


def said(code: str) -> str:
    """What a program prints in a process of its own: how malloc behaves is set for a whole one."""
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith("MALLOC_") and k != HUGE_PAGES
    }
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout


HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
ALLOWED = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux how much is resident")
def test_what_malloc_keeps_can_be_given_back():
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
    assert int(said(code)) > 300 * 2**20


@pytest.mark.skipif(
    not ALLOWED.is_file() or "[never]" in ALLOWED.read_text(), reason="Linux gives no huge pages"
)
def test_a_run_computes_in_huge_pages():
    """Nothing that a run imports makes a tensor before memory is seen to."""
    code = """
import torch
from tartan.cli.run import main
from tartan.plugins import discover
from tartan.train.memory import keep_freed_memory

discover()
keep_freed_memory()
held = torch.ones(1 << 26)
print(sum(int(line.split()[1]) for line in open("/proc/self/smaps") if "AnonHugePages" in line))
"""
    assert int(said(code)) > 100 * 2**10
