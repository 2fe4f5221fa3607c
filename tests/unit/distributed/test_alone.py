"""One process: nothing in a step asks how many there are, and it takes everything."""

import ast
from pathlib import Path

import pytest
import torch

import tartan
from tartan.distributed.ranks import Ranks
from tartan.shared import Shared

STEP = (
    "backward.py", "shared.py", "term.py", "weighting.py", "train/step.py", "train/losses.py",
    "train/finite.py", "train/optimiser.py", "train/dev_loss.py", "train/turns.py",
)  # fmt: skip
"""The modules whose code a step runs."""
PROCESSES = {"ranks", "_ranks", "rank", "world_size", "distributed"}
"""Names by which code could ask for processes."""


def asked(source: str) -> list[str]:
    """The conditions in some code that read one of `PROCESSES`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        tests = [getattr(node, "test", None), *getattr(node, "ifs", ())]
        for test in filter(None, tests):
            names = {n.attr for n in ast.walk(test) if isinstance(n, ast.Attribute)}
            names |= {n.id for n in ast.walk(test) if isinstance(n, ast.Name)}
            if names & PROCESSES:
                found.append(ast.unparse(test))
    return found


@pytest.mark.parametrize("module", STEP)
def test_no_branch_of_a_step_depends_on_the_number_of_processes(module: str):
    source = Path(tartan.__path__[0], module).read_text(encoding="utf-8")
    assert asked(source) == []


def test_such_a_branch_would_be_found():
    assert asked("x = 1 if self._ranks.size > 1 else 2") == ["self._ranks.size > 1"]


def test_one_process_takes_and_keeps_everything():
    ranks, numbers, losses = Ranks(), range(8, 12), torch.rand(3)
    assert ranks.micro_batches(numbers) is numbers
    assert list(ranks.evaluated(3)) == [0, 1, 2]
    assert ranks.counts([1, 2]) == [1, 2]
    parameters = [torch.nn.Parameter(torch.rand(2))]
    shared = ranks.shared(parameters)
    assert type(shared) is Shared
    assert shared.owned == parameters
    assert shared.totals(losses)[0] is losses
    assert type(ranks.adamw([{"params": parameters}])) is torch.optim.AdamW
