"""Random ranks killed at random moments, again and again: the run ends as if nothing had happened.

`python -m pytest -m soak -s tests/integration/test_distributed_kills.py` kills 40 times.
"""

import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from support.ranks import LIMIT, Launched
from support.runs import GRADUAL, differences, resuming, write_gradual

COMMON = [
    "run", *GRADUAL, "batch_size=4", "accumulate=2", "data.dir=data", "eval.every=4",
    "eval.patience=0", "checkpoint.every=2", "steps=12", "report=false",
    "schedule.stages.finetune.epochs=2",
]  # fmt: skip


def begin(name: str, size: int) -> Launched:
    """Begin a run, or resume it."""
    return Launched(*COMMON, f"run_dir={name}", size=size, said=Path(f"{name}.said"))


def kill_one(launched: Launched, rng: random.Random, longest: float) -> tuple[int, float] | None:
    """Kill a random process after a random time; its rank, and the seconds until all have ended."""
    until = time.monotonic() + rng.uniform(0.5, longest)
    while time.monotonic() < until and launched.processes[0].poll() is None:
        time.sleep(0.01)
    rank = rng.randrange(len(launched.processes))
    if any(process.poll() is not None for process in launched.processes):
        launched.wait()
        return None
    launched.processes[rank].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    while any(process.poll() is None for process in launched.processes):
        if time.monotonic() - killed > LIMIT / 3:  # they may not have met yet: launchers do this
            for process in launched.processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
        assert time.monotonic() - killed < LIMIT, "a process did not end"
        time.sleep(0.05)
    return rank, time.monotonic() - killed


def endure(kills: int, size: int) -> Counter[int]:
    """Kill runs until there were enough kills; each is resumed until it is complete."""
    write_gradual(Path("data"))
    began = time.monotonic()
    assert [answer.status for answer in begin("whole", size).wait()] == [0] * size
    longest = time.monotonic() - began
    rng, ranks, runs = random.Random(kills), Counter[int](), 0
    while ranks.total() < kills:
        name = f"killed{runs}"
        while ranks.total() < kills and not Path(name, "summary.json").exists():
            if found := kill_one(begin(name, size), rng, longest):
                rank, seconds = found
                ranks[rank] += 1
                print(f"kill {ranks.total()}: {name}, rank {rank}, {seconds:.1f} s", flush=True)
        with resuming(Path(name)):
            assert [answer.status for answer in begin(name, size).wait()] == [0] * size
        assert differences(Path("whole"), Path(name)) == [], name
        runs += 1
    print(f"{kills} kills in {runs} runs: {dict(ranks)} by rank; all alike")
    return ranks


@pytest.mark.soak
def test_a_run_whose_ranks_are_killed_forty_times_ends_as_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert endure(40, 2).total() == 40
