"""Memory of a step, counted allocation by allocation, and malloc's settings."""

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
from tartan.train.memory import ALLOCATOR
from tartan_weightings.static import Static, StaticOptions

WIDTH = 256
BODY = 3 * WIDTH * WIDTH * 4
"""Bytes of the body's gradient; activations of one row are under a hundredth of it."""


def peak(needs: Needs, count: int) -> float:
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
        backward(terms, weighting, Shared(body), dev=dev, needs=needs)
    results = profiled.profiler.kineto_results
    events = [event for event in results.events() if event.name() == "[memory]"]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(accumulate(changes)) / BODY


WAYS = [Needs.LOSSES, Needs.DEV, Needs.GRADIENTS, Needs.GRADIENTS | Needs.DEV]


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("needs", WAYS)
def test_a_step_holds_the_copies_of_the_bodys_gradient_that_are_declared(needs, count):
    copies = cost(needs, count).copies
    # Autograd holds a matrix's gradient until it has been added.
    assert copies - 0.01 < peak(needs, count) < copies + 0.4


@pytest.mark.parametrize("count", [2, 8])
def test_meta_holds_two_copies_of_the_bodys_gradient_more_than_static(count):
    assert peak(Needs.DEV, count) - peak(Needs.LOSSES, count) < 2.1


def said(code: str) -> str:
    """Return what a program prints in a process of its own: malloc's settings are a process's."""
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith("MALLOC_") and k != HUGE_PAGES
    }
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout


HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
ALLOWED = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux how much is resident")
def test_memory_that_malloc_keeps_can_be_returned_to_the_system():
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
    """Nothing that a run imports makes a tensor before malloc is set up."""
    count = """
print(sum(int(line.split()[1]) for line in open("/proc/self/smaps") if "AnonHugePages" in line))
"""
    asked = f"""
import mmap
held = mmap.mmap(-1, 1 << 28)
held.madvise(mmap.MADV_HUGEPAGE)
held.write(bytes(1 << 28))
{count}
"""
    if int(said(asked)) < 200 * 2**10:
        pytest.skip("Linux has no huge pages left")
    code = f"""
import torch
from tartan.cli.run import main
from tartan.plugins import discover
from tartan.train.memory import keep_freed_memory

discover()
keep_freed_memory()
held = torch.ones(1 << 26)
{count}
"""
    assert int(said(code)) > 100 * 2**10


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is an option on Linux")
@pytest.mark.parametrize("given", [{}, {"PYTORCH_CUDA_ALLOC_CONF": "backend:native"}])
def test_a_gpus_allocator_extends_its_pieces_unless_it_is_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
):
    for name in ALLOCATOR:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = said(
        "import os; from tartan.train.memory import keep_freed_memory; keep_freed_memory();"
        f"print([os.environ.get(name) for name in {ALLOCATOR}])"
    )
    expected = [None, "backend:native"] if given else ["expandable_segments:True", None]
    assert found.strip() == str(expected)


@pytest.mark.heavy
def test_building_and_training_as_a_library_changes_no_setting_of_the_process():
    code = """
import ctypes, os
called = []
class Library(ctypes.CDLL):
    def __getattr__(self, name):
        called.append(name)
        return super().__getattr__(name)
ctypes.CDLL = Library
from hydra import compose, initialize_config_module
from tartan.config.parse import parse
from tartan.config.store import register
from tartan.plugins import discover
from tartan.experiment.build import build
from tartan.train.memory import give_back_memory
from tartan.train.stage import Stage

plugins = discover()
register(plugins)
before = dict(os.environ)
with initialize_config_module("tartan.configs", version_base="1.3"):
    config = parse(compose("config", ["steps=1"]))
built = build(config, plugins)
Stage(built.setup, next(iter(built.stages.values()))).take(0)
give_back_memory()
print([name for name in called if name.startswith("mall")], os.environ == before)
"""
    assert said(code).splitlines()[-1] == "[] True"
