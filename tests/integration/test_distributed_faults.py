"""Whatever happens to one process ends all, in one line that names it; the command resumes."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from support.closeness import assert_same
from support.command import SMALL, Answer, summary
from support.process import KILL, at_call, send
from support.ranks import errors, launch
from support.runs import differences
from tartan.experiment.lock import locked

RUN = [
    "run", *SMALL, "steps=12", "objectives=[mlm]", "weighting=meta", "accumulate=2",
    "batch_size=4", "eval.every=4", "checkpoint.every=2", "schedule.stages.finetune.steps=2",
]  # fmt: skip
STEP = "tartan.train.step:Step.__call__"
Prepare = Callable[[int], None]


@pytest.fixture(autouse=True)
def empty_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def run(name: str, size: int = 2, prepare: Prepare = lambda rank: None) -> list[Answer]:
    """Start the run in a directory, or resume it."""
    return launch(*RUN, f"run_dir={name}", size=size, said=Path("said"), prepare=prepare)


def on(rank: int, target: str, call: int, act: Callable[[], object]) -> Prepare:
    """Act in one process, at a call of a function."""
    return lambda here: at_call(target, call, act) if here == rank else None


def fails(error: Exception) -> Callable[[], None]:
    """Raise an error."""

    def act() -> None:
        raise error

    return act


def statuses(answers: list[Answer]) -> list[int]:
    return [answer.status for answer in answers]


def lines(answers: list[Answer]) -> list[str]:
    """What tartan says of errors, in all processes."""
    return [line for line in errors(answers).splitlines() if line.startswith("tartan: ")]


def test_a_process_that_is_killed_fails_or_is_stopped_ends_all_and_the_run_resumes():
    assert statuses(run("whole")) == [0, 0]
    for rank in (1, 0):
        killed = run("out", prepare=on(rank, STEP, 4, KILL))
        assert sorted(statuses(killed)) == [-signal.SIGKILL, 1]
        (line,) = lines(killed)
        assert f"rank {rank} of 2 (process " in line
        assert "killed or crashed" in line
        assert line.endswith("give the same command to resume")

    memory = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")
    refused = run("out", prepare=on(1, "tartan.train.step:Step.measure", 2, fails(memory)))
    assert statuses(refused) == [2, 2]
    (line,) = lines(refused)
    assert "out of memory in " in line
    assert "; this was rank 1 of 2 (process " in line
    assert "Traceback" not in errors(refused)

    broken = run("out", prepare=on(1, STEP, 2, fails(LookupError("no such thing"))))
    assert statuses(broken) == [1, 1]
    assert errors(broken).count("Traceback") == 1
    assert "LookupError: no such thing\nthis was rank 1 of 2 (process " in errors(broken)

    stopped = run("out", prepare=on(1, STEP, 1, send(signal.SIGTERM)))
    assert statuses(stopped) == [128 + signal.SIGTERM] * 2
    (line,) = lines(stopped)
    assert line.startswith("tartan: stopped by SIGTERM; step ")
    assert "is saved; SIGTERM came to rank 1 of 2 (process " in line
    assert "to resume: python -m tartan run " in line

    assert statuses(run("out")) == [0, 0]
    assert differences(Path("whole"), Path("out")) == []


def test_another_number_of_processes_resumes_with_a_notice_and_a_directory_in_use_is_refused():
    with locked(Path("out")):
        refused = run("out")
    assert statuses(refused) == [2, 2]
    (line,) = lines(refused)
    assert "out is in use by process " in line
    assert "rank" not in line

    run("out", prepare=on(1, STEP, 6, KILL))
    first, second = run("out")
    assert (first.status, second.status) == (0, 0)
    assert second.out == ""
    assert summary(Path("out"))["changes"] == []

    run("fewer", prepare=on(0, STEP, 6, KILL))
    (alone,) = launch(*RUN, "run_dir=fewer", size=1, said=Path("said"))
    assert alone.status == 0
    assert "processes (2, now 1): the last bits of the results may differ" in alone.out
    assert summary(Path("fewer"))["changes"][0]["values"] == {"processes": ["2", "1"]}
    assert summary(Path("fewer"))["dev"] == summary(Path("out"))["dev"]


def test_an_accumulate_that_cannot_be_shared_is_refused_with_values_that_can():
    refused = launch(*RUN, "run_dir=out", "accumulate=3", size=2, said=Path("said"))
    assert statuses(refused) == [2, 2]
    assert errors(refused) == (
        "tartan: accumulate=3 cannot be divided among 2 processes: set accumulate=2 batch_size=6 "
        "or accumulate=4 batch_size=3 or accumulate=6 batch_size=2 for the same effective batch "
        "size, or start 1 process\n"
    )
    assert not Path("out").exists()


def test_a_sharded_run_writes_a_file_of_each_process_and_resumes_with_any_number():
    sharded = "sharded=true"
    run_ = [*RUN, sharded]
    assert statuses(launch(*run_, "run_dir=whole", size=2, said=Path("said"))) == [0, 0]
    for name in ("out", "alone"):
        kill = on(1, STEP, 8, KILL)
        killed = launch(*run_, f"run_dir={name}", size=2, said=Path("said"), prepare=kill)
        assert sorted(statuses(killed)) == [-signal.SIGKILL, 1]
        files = {path.name for path in Path(name, "checkpoints/checkpoint-6").iterdir()}
        assert {f"rank-0000{rank}-of-00002.safetensors" for rank in range(2)} < files
        assert not [file for file in files if not file.endswith((".safetensors", ".json"))]
        sealed = json.loads(Path(name, "checkpoints/checkpoint-6/manifest.json").read_text())
        assert sealed.keys() == files - {"manifest.json"}
    assert statuses(launch(*run_, "run_dir=out", size=2, said=Path("said"))) == [0, 0]
    assert differences(Path("whole"), Path("out")) == []
    (alone,) = launch(*run_, "run_dir=alone", size=1, said=Path("said"))
    assert alone.status == 0, alone.err
    assert "processes (2, now 1)" in alone.out
    for name, value in load_file("whole/model/model.safetensors").items():
        assert_same(load_file("alone/model/model.safetensors")[name], value)
