"""Processes killed at random moments, again and again: their runs end as if nothing had happened.

A few kills in CI, a hundred with `python -m pytest -m soak -s tests/integration/test_kills.py`.
Each process is forked from one that has read the libraries: a kill costs no start of Python.
"""

import json
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from support.command import summary
from support.process import Forked
from support.runs import GRADUAL, differences, newest, resuming, write_gradual

EVERY = 10
COMMON = [*GRADUAL, "data.dir=data", "eval.every=4", "eval.patience=0", f"checkpoint.every={EVERY}"]


def moment(run: Path) -> str:
    """What a run had come to, by what it has left."""
    if not (run / ".hydra/config.yaml").exists():
        return "building"
    if (run / "model").exists():
        return "summing up"
    if any(run.glob("checkpoints/.*")) or any(run.glob(".*.partial")):
        return "writing"
    return "training" if any(run.glob("checkpoints/checkpoint-*")) else "its first steps"


def reached(run: Path) -> int:
    """The last step that metrics.jsonl tells of."""
    path = run / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return int(json.loads(lines[-1])["step"]) if lines else 0


def begin(run: Path, steps: int) -> Forked:
    """Begin a run, or go on with it, in a process of its own."""
    said = run.with_name(f"{run.name}.said")
    return Forked("run", f"run_dir={run}", *COMMON, f"steps={steps}", said=said)


def kill_at_random(run: Path, steps: int, rng: random.Random, span: float) -> str | None:
    """Go on with a run, and kill it at a random moment; None where it is complete before that."""
    process = begin(run, steps)
    if rng.random() < 0.8:  # else it may be building still
        before = (run / "metrics.jsonl").stat().st_mtime_ns if reached(run) else 0
        while process.poll() is None and not _went_on(run, before):
            time.sleep(0.001)
        time.sleep(rng.uniform(0, span))
    else:
        time.sleep(rng.uniform(0, 4 * span))
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    if process.wait() == -signal.SIGKILL:
        return moment(run)
    assert process.returncode == 0
    return None


def _went_on(run: Path, before: int) -> bool:
    """Whether a process has begun to train."""
    path = run / "metrics.jsonl"
    return path.exists() and path.stat().st_mtime_ns != before


def endure(directory: Path, kills: int, steps: int, span: float) -> tuple[Counter[str], int, int]:
    """Kill runs until there were enough kills; each is gone on with until it is complete.

    Args:
        directory: where the runs are.
        kills: how many there are to be.
        steps: of the first stage.
        span: seconds from the beginning of training in which a kill comes.

    Returns:
        How many kills came at which moments, how many runs there were, and each one's steps.
    """
    write_gradual(directory / "data")
    assert begin(directory / "whole", steps).wait() == 0
    rng, moments, runs = random.Random(kills), Counter[str](), 0
    while moments.total() < kills:
        run = directory / f"killed{runs}"
        while moments.total() < kills and not (run / "summary.json").exists():
            if killed := kill_at_random(run, steps, rng, span):
                moments[killed] += 1
                lost = reached(run) - newest(run)
                assert lost <= EVERY
                print(f"kill {moments.total()}: {run.name}, {killed}, {lost} steps to take again")
        with resuming(run):  # a complete run is not run again
            assert begin(run, steps).wait() == 0
        assert differences(directory / "whole", run) == [], run
        runs += 1
    return moments, runs, int(summary(directory / "whole")["steps"])


def test_a_run_killed_a_few_times_ends_as_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    moments, _, _ = endure(tmp_path, 3, 40, 1)
    assert moments.total() == 3


@pytest.mark.soak
def test_runs_killed_a_hundred_times_end_as_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    moments, runs, taken = endure(tmp_path, 100, 250, 3)
    print(f"{moments.total()} kills in {runs} runs of {taken} steps: {dict(moments)}; all alike")
    assert moments.total() == 100
