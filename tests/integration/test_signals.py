"""Signals: the run saves its last step, stops, and prints the command that resumes it."""

import re
import shlex
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from support.command import SMALL, Answer, summary
from support.process import answered, at_call, forked, send
from support.runs import GRADUAL, differences, newest, resuming, write_gradual
from tartan.errors import Interrupted
from tartan.train.interrupt import Interrupts

Tartan = Callable[..., Answer]
RUN = ["run", "data.dir=data", *GRADUAL, "steps=20", "eval.every=3", "checkpoint.every=500"]
WARNING = "tartan: stopping after this step; Ctrl-C again stops at once\n"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    here = tmp_path_factory.mktemp("whole")
    write_gradual(here / "data")
    command = [*RUN, f"data.dir={here / 'data'}", f"run_dir={here / 'run'}"]
    assert forked(command) == 0
    return here / "run"


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """Run until a signal comes at a call of a function of tartan's."""
    monkeypatch.chdir(tmp_path)
    write_gradual(tmp_path / "data")

    def run(number: int, when: str, call: int = 1) -> Answer:
        prepare = partial(at_call, f"tartan.{when}", call, send(number))
        return answered([*RUN, "run_dir=cut"], tmp_path / "said", prepare)

    return run


@pytest.mark.parametrize(
    ("number", "status", "when", "call", "saved"),
    [
        (signal.SIGTERM, 143, "train.optimiser:Optimiser.step", 8, "step 8 is saved"),
        (signal.SIGINT, 130, "train.optimiser:Optimiser.step", 8, "step 8 is saved"),
        (signal.SIGHUP, 129, "train.optimiser:Optimiser.step", 8, "step 8 is saved"),
        (signal.SIGUSR1, 138, "train.evaluate:generator", 3, "step 9 is saved"),
        (signal.SIGTERM, 143, "train.evaluate:generator", 3, "step 9 is saved"),
        (signal.SIGTERM, 143, "train.optimiser:Optimiser.step", 20, "step 20 is saved"),
        (signal.SIGTERM, 143, "train.trainer:Trainer._end", 1, "step 20 is saved"),
        (signal.SIGTERM, 143, "train.trainer:Trainer._end", 2, "training is complete and saved"),
        (signal.SIGTERM, 143, "body.export:write_whole", 1, "what was saved before is kept"),
        (signal.SIGINT, 130, "experiment.finish:evaluate", 1, "what was saved before is kept"),
    ],
)
def test_a_signal_saves_the_step_and_the_command_it_names_goes_on(
    whole: Path, stopped: Callable[..., Answer], tartan: Tartan, tmp_path: Path,
    number: int, status: int, when: str, call: int, saved: str,
):  # fmt: skip
    answer = stopped(number, when, call)
    assert answer.status == status
    told = answer.err.removeprefix(WARNING)
    assert (number == signal.SIGINT and saved.startswith("step")) == (told != answer.err)
    name = signal.Signals(number).name
    assert told.startswith(f"tartan: stopped by {name}; {saved}; to resume: ")
    assert told.count("\n") == 1
    command = shlex.split(told.split("to resume: ")[1])
    assert command[:4] == ["python", "-m", "tartan", "run"]
    assert command[-1] == "resume=cut"
    step = re.match(r"step (\d+) ", saved)
    assert newest(tmp_path / "cut") == (int(step[1]) if step else summary(whole)["steps"])
    with resuming(tmp_path / "cut"):
        assert tartan(*command[3:]).status == 0
    assert differences(whole, tmp_path / "cut") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_training_leaves_nothing(
    stopped: Callable[..., Answer], tmp_path: Path, number: int
):
    answer = stopped(number, "experiment.build:load_joint_model")
    assert answer.status == 128 + number
    name = signal.Signals(number).name
    assert answer.err == f"tartan: stopped by {name} before anything was written\n"
    assert not (tmp_path / "cut").exists()


def test_a_second_ctrl_c_stops_at_once(
    whole: Path, stopped: Callable[..., Answer], tartan: Tartan, tmp_path: Path
):
    """Before the step is over: it is not saved, and what was saved before is enough."""

    def twice() -> None:
        send(signal.SIGINT)()
        send(signal.SIGINT)()

    prepare = partial(at_call, "tartan.train.optimiser:Optimiser.step", 8, twice)
    command = [*RUN, "run_dir=cut", "checkpoint.every=5"]
    answer = answered(command, tmp_path / "said", prepare)
    assert answer.status == 130
    assert "stopped by SIGINT; what was saved before is kept; to resume: " in answer.err
    assert newest(tmp_path / "cut") == 5
    with resuming(tmp_path / "cut"):
        assert tartan(*command).status == 0
    assert differences(whole, tmp_path / "cut") == []


def test_a_real_process_is_stopped_from_outside(spawn: Callable[..., "object"], tmp_path: Path):
    write_gradual(tmp_path / "data")
    process = spawn(*RUN, "run_dir=out", "steps=100000", "eval.patience=0")
    metrics = tmp_path / "out/metrics.jsonl"
    while not (metrics.exists() and metrics.read_text().count("\n") > 3):
        assert process.poll() is None  # type: ignore[attr-defined]
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)  # type: ignore[attr-defined]
    _, err = process.communicate(timeout=120)  # type: ignore[attr-defined]
    assert process.returncode == 143, err  # type: ignore[attr-defined]
    assert len(list(tmp_path.glob("out/checkpoints/checkpoint-*"))) == 1
    assert not (tmp_path / "out/.lock").exists()


def test_a_signal_ends_a_sweep_and_the_command_it_names_goes_on(
    whole: Path, tartan: Tartan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One job is finished by then."""
    monkeypatch.chdir(tmp_path)
    write_gradual(tmp_path / "data")
    swept = ["steps=1,20" if text == "steps=20" else text for text in RUN[1:]]
    sweep = ["run", "-m", *swept, "hydra.sweep.dir=sweep"]
    prepare = partial(at_call, "tartan.train.trainer:Trainer._end", 3, send(signal.SIGTERM))
    answer = answered(sweep, tmp_path / "said", prepare)
    assert answer.status == 143
    first, second = tmp_path / "sweep/steps=1", tmp_path / "sweep/steps=20"
    finished = (first / "summary.json").read_bytes()
    assert not (second / "summary.json").exists()
    assert list((tmp_path / "sweep").glob(".*")) == []
    command = shlex.split(answer.err.split("step 20 is saved; to resume: ")[1])
    assert command == ["python", "-m", "tartan", *sweep]
    assert newest(second) == 20
    with resuming(second):
        assert tartan(*command[3:]).status == 0
    assert (first / "summary.json").read_bytes() == finished
    assert differences(whole, second) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_that_the_process_ignores_stays_ignored(number: int):
    """Under `nohup`, and in a shell's background jobs."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts, interrupts.deferred():
            signal.raise_signal(number)
        assert interrupts.received is None
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


CLUSTER = [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU, signal.SIGTERM]


@pytest.mark.parametrize("number", CLUSTER)
def test_signals_of_terminals_and_clusters_wait_for_the_end_of_a_step(number: int):
    def train() -> None:
        with Interrupts() as interrupts, interrupts.deferred():
            signal.raise_signal(number)
            assert interrupts.received == number, "the inner one, of the run"

    with Interrupts(), pytest.raises(Interrupted) as stopped:
        train()
    assert stopped.value.status == 128 + number
    assert signal.getsignal(number) == signal.SIG_DFL


def test_a_signal_that_other_code_handles_is_left_to_it():
    """Such as submitit's, which requeues a job."""
    received: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, _: received.append(number))
    try:
        with Interrupts() as interrupts, interrupts.deferred():
            signal.raise_signal(signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert (received, interrupts.received) == ([signal.SIGUSR2], None)


def test_a_run_under_nohup_outlives_its_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def prepare() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        at_call("tartan.train.optimiser:Optimiser.step", 2, send(signal.SIGHUP))

    monkeypatch.chdir(tmp_path)
    assert answered(["run", "run_dir=out", *SMALL], tmp_path / "said", prepare).status == 0
