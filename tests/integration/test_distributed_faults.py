"""Whatever happens to one process ends all, in one line that names it; the command resumes."""

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch._C._distributed_c10d import Store

from support.closeness import assert_same
from support.command import SMALL, Answer, summary
from support.process import KILL, at_call, send
from support.ranks import errors, launch
from support.runs import differences, newest, resuming
from tartan.distributed import failure
from tartan.distributed.failure import FOREVER, KEY, Watch
from tartan.errors import DataError, DivergenceError
from tartan.experiment.lock import locked
from tartan.testing import save_tiny

RUN = [
    "run", *SMALL, "steps=8", "objectives=[mlm]", "weighting=meta", "accumulate=2",
    "batch_size=4", "eval.every=4", "checkpoint.every=2", "schedule.stages.finetune.epochs=0.3",
]  # fmt: skip
SHARDED, MOMENTS = "sharded=true", "sharded_optimizer=true"
STEP = "tartan.train.step:Step.__call__"
Prepare = Callable[[int], None]


@pytest.fixture(autouse=True)
def empty_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def run(name: str, *more: str, size: int = 2, prepare: Prepare = lambda rank: None) -> list[Answer]:
    """Start the run in a directory, or resume it."""
    said = Path("said")
    return launch(*RUN, f"run_dir={name}", *more, size=size, said=said, prepare=prepare)


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


def assert_killed(answers: list[Answer], rank: int) -> None:
    """One process was killed, the others ended, and one line names it."""
    size = len(answers)
    assert sorted(statuses(answers)) == [-signal.SIGKILL, *[1] * (size - 1)]
    (line,) = lines(answers)
    assert f"rank {rank} of {size} (process " in line
    assert "killed or crashed" in line
    assert line.endswith("give the same command to resume")
    assert "Traceback" not in errors(answers)


def test_a_process_that_is_killed_fails_or_is_stopped_ends_all_and_the_run_resumes():
    assert statuses(run("whole")) == [0, 0]
    for rank in (1, 0):
        assert_killed(run("out", prepare=on(rank, STEP, 2 + rank, KILL)), rank)

    memory = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")
    refused = run("out", prepare=on(1, "tartan.train.step:Step.measure", 2, fails(memory)))
    assert statuses(refused) == [2, 2]
    (line,) = lines(refused)
    assert "out of memory in " in line
    assert "; this was rank 1 of 2 (process " in line
    assert "Traceback" not in errors(refused)

    stopped = run("out", prepare=on(1, STEP, 1, send(signal.SIGTERM)))
    assert statuses(stopped) == [128 + signal.SIGTERM] * 2
    (line,) = lines(stopped)
    assert line.startswith("tartan: stopped by SIGTERM; step ")
    assert "is saved; SIGTERM came to rank 1 of 2 (process " in line
    assert "; to resume on 2 processes, with the same launcher: python -m tartan run " in line

    broken = run("out", prepare=on(1, STEP, 2, fails(LookupError("no such thing"))))
    assert statuses(broken) == [1, 1]
    assert errors(broken).count("Traceback") == 1
    assert "LookupError: no such thing\nthis was rank 1 of 2 (process " in errors(broken)

    assert newest(Path("out")) >= 3  # 2 after a kill, and one more after the signal
    with resuming(Path("out")):
        assert statuses(run("out")) == [0, 0]
    assert differences(Path("whole"), Path("out")) == []


@pytest.mark.parametrize("who", [(0, 1), (1,)], ids=["all", "one"])
def test_rank_0_saves_the_last_step_however_long_that_takes(who: tuple[int, ...]):
    diverged = DivergenceError("the loss is nan")

    def prepare(rank: int) -> None:
        failure.GRACE = 4.0
        if rank in who:
            at_call("tartan.train.step:Step.measure", 4, fails(diverged))
        if rank == 0:
            at_call("tartan.train.checkpoint:save_trained", 1, lambda: time.sleep(6))

    answers = run("out", "checkpoint.every=8", prepare=prepare)
    assert statuses(answers) == [2, 2]
    alone = r"; this was rank 1 of 2 \(process .*\)"
    said = "tartan: the loss is nan" + (alone if len(who) == 1 else "; step 3 is saved") + "\n"
    assert re.fullmatch(said, errors(answers))
    assert [path.name for path in Path("out/checkpoints").glob("checkpoint-*")] == ["checkpoint-3"]


def test_what_fails_in_rank_0_alone_is_reported_by_it_and_a_directory_in_use_is_refused():
    with locked(Path("out")):
        refused = run("out")
    assert statuses(refused) == [2, 2]
    (line,) = lines(refused)
    assert "out is in use by process " in line
    assert "this was rank" not in line

    summarise = "tartan.experiment.finish:summarise"
    broken = run("out", prepare=on(0, summarise, 1, fails(LookupError("no such thing"))))
    assert statuses(broken) == [1, 1]
    assert errors(broken).count("Traceback") == 1
    assert lines(broken) == []
    assert "LookupError: no such thing" in errors(broken)


@pytest.mark.slow
def test_data_that_one_process_cannot_read_are_refused_before_a_body_is_divided():
    """The others would wait for it as they divide the body among two machines."""

    def prepare(rank: int) -> None:
        os.environ.update(LOCAL_RANK=str(rank % 2), LOCAL_WORLD_SIZE="2")
        if rank == 3:
            at_call("tartan.experiment.build:load_section", 1, fails(DataError("no rows")))

    refused = run("out", SHARDED, "accumulate=4", "batch_size=2", size=4, prepare=prepare)
    assert statuses(refused) == [2] * 4
    said = r"tartan: no rows; this was rank 3 of 4 \(process .*\)\n"
    assert re.fullmatch(said, errors(refused))


def test_another_number_of_processes_resumes_with_a_notice():
    assert_killed(run("out", MOMENTS, prepare=on(0, STEP, 4, KILL)), 0)
    shutil.copytree("out", "alone")
    (alone,) = run("alone", size=1)
    assert alone.status == 0
    assert "processes (2, now 1): the last bits of the results may differ" in alone.out
    assert summary(Path("alone"))["changes"][0]["values"] == {"processes": ["2", "1"]}
    for _ in range(2):  # the second time it is complete, and nothing changed
        both = run("out", MOMENTS)
        assert statuses(both) == [0, 0]
        assert "last bits" not in both[0].out
    assert_same_models("alone", "out")


def test_an_accumulate_that_cannot_be_shared_is_refused_with_values_that_can():
    refused = run("out", "accumulate=3")
    assert statuses(refused) == [2, 2]
    assert errors(refused) == (
        "tartan: accumulate=3 cannot be divided among 2 processes: set accumulate=2 batch_size=6 "
        "or accumulate=4 batch_size=3 or accumulate=6 batch_size=2 for the same effective batch "
        "size, or start 1 process\n"
    )
    assert not Path("out").exists()


def test_rank_0_waits_until_the_others_know_of_its_failure():
    """Its end would otherwise be reported as a second failure."""

    def slow(watch: Watch, store: Store) -> None:
        store.wait([KEY], FOREVER)
        time.sleep(1)
        hear(watch, store)

    hear = Watch._hear

    def prepare(rank: int) -> None:
        if rank:
            Watch._hear = slow  # type: ignore[method-assign]

    refused = run("out", SHARDED, "model.max_tokens_per_pass=64", prepare=prepare)
    assert statuses(refused) == [2, 2]
    assert errors(refused) == (
        "tartan: sharded=true and model.max_tokens_per_pass: processes would take different "
        "numbers of passes; remove one of them\n"
    )


def test_a_sharded_run_with_frozen_weights_in_half_precision_is_refused():
    save_tiny(Path("saved"), "bert", "MaskedLM")
    options = [option for option in RUN if not option.startswith(("model.", "precision="))]
    adapters = ["model=auto", "model.name=saved", "model.lora.r=2", "model.lora.base=bf16"]
    options += [*adapters, "precision=bf16", SHARDED]
    refused = launch(*options, size=2, said=Path("said"), prepare=lambda rank: None)
    assert statuses(refused) == [2, 2]
    assert errors(refused) == (
        "tartan: sharded=true and model.lora.base=bf16: evaluation holds all weights in float32, "
        "which those of a divided body cannot become; remove one of them\n"
    )


def test_a_sharded_run_writes_a_file_of_each_process_and_resumes_with_any_number():
    whole = run("whole", SHARDED)
    assert statuses(whole) == [0, 0]
    assert "of activations" not in whole[0].out  # they are not estimated, so no number is printed
    assert_killed(run("out", SHARDED, prepare=on(1, STEP, 6, KILL)), 1)
    checkpoint = Path("out/checkpoints/checkpoint-4")
    files = {path.name for path in checkpoint.iterdir()}
    assert {f"rank-0000{rank}-of-00002.safetensors" for rank in range(2)} < files
    assert not [file for file in files if not file.endswith((".safetensors", ".json"))]
    sealed = json.loads((checkpoint / "manifest.json").read_text())
    assert sealed.keys() == files - {"manifest.json"}
    shutil.copytree("out", "alone")

    # The last step is saved after a signal.
    stopped = run("out", SHARDED, prepare=on(1, STEP, 1, send(signal.SIGTERM)))
    assert statuses(stopped) == [128 + signal.SIGTERM] * 2
    assert newest(Path("out")) == 5
    with resuming(Path("out")):
        assert statuses(run("out", SHARDED)) == [0, 0]
    assert differences(Path("whole"), Path("out")) == []
    with resuming(Path("alone")):
        (alone,) = run("alone", SHARDED, size=1)
        assert alone.status == 0, alone.err
    assert "processes (2 sharded, now 1)" in alone.out
    assert_same_models("alone", "whole")


@pytest.mark.slow
def test_a_run_may_change_what_its_processes_divide():
    assert statuses(run("whole")) == [0, 0]
    assert_killed(run("moments", MOMENTS, prepare=on(1, STEP, 6, KILL)), 1)
    with resuming(Path("moments")):
        assert statuses(run("moments", MOMENTS)) == [0, 0]
    assert differences(Path("whole"), Path("moments")) == []  # to the byte
    for name, first, then in (("divided", [], [SHARDED]), ("joined", [SHARDED], [])):
        assert_killed(run(name, *first, prepare=on(1, STEP, 6, KILL)), 1)
        with resuming(Path(name)):
            assert statuses(run(name, *then)) == [0, 0]
        assert_same_models(name, "whole")


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], [SHARDED]], ids=["replicated", "sharded"])
def test_each_of_four_processes_may_be_killed(more: list[str]):
    four = ["accumulate=4", "batch_size=2", *more]
    assert statuses(run("whole", *four, size=4)) == [0] * 4
    for rank in range(4):
        assert_killed(run("out", *four, size=4, prepare=on(rank, STEP, 2, KILL)), rank)
    with resuming(Path("out")):
        assert statuses(run("out", *four, size=4)) == [0] * 4
    assert differences(Path("whole"), Path("out")) == []


def assert_same_models(one: str, other: str) -> None:
    """The models of two runs are the same, up to the order of additions."""
    expected = load_file(f"{other}/model/model.safetensors")
    found = load_file(f"{one}/model/model.safetensors")
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert_same(value, expected[name])
