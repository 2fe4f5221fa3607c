"""Metrics in a tracker: the names and values of metrics.jsonl, once each, whatever happens."""

import json
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from accelerate.tracking import TensorBoardTracker, get_available_trackers
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from support.command import SMALL, Answer, records, summary
from support.process import KILL, at_call, forked
from support.runs import newest, resuming
from tartan.report.tracker import TRACKERS, start_tracker

Tartan = Callable[..., Answer]
RUN = ["run", "objectives=[mlm]", "weighting=meta", "run_dir=out", *SMALL]
MISSING = sorted(set(TRACKERS) - {str(found) for found in get_available_trackers()})


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a run: steps and values by name."""
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def told(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What metrics.jsonl says, in the same form."""
    found: dict[str, list[tuple[int, float]]] = {}
    for record in records(run):
        for name, value in record.items():
            if name not in ("step", "stage"):
                found.setdefault(name, []).append((record["step"], pytest.approx(value, rel=1e-6)))
    return found


def test_tensorboard_shows_what_metrics_jsonl_holds(tartan: Tartan, tmp_path: Path):
    answer = tartan(*RUN, "tracker=tensorboard")
    assert answer.status == 0, answer.err
    shown = scalars(tmp_path / "out")
    assert shown == told(tmp_path / "out")
    assert {"train/loss/mlm", "train/weight/mlm", "eval/macro_f1"} <= set(shown)


def test_by_default_there_is_no_tracker(tartan: Tartan, tmp_path: Path):
    assert tartan(*RUN).status == 0
    assert not (tmp_path / "out/tensorboard").exists()


def test_a_resumed_run_goes_on_in_the_same_tracker_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What a killed run had told beyond its checkpoint is told once."""
    monkeypatch.chdir(tmp_path)
    run = [*RUN, "tracker=tensorboard", "steps=12", "log.every=1", "checkpoint.every=5"]
    kill = partial(at_call, "tartan.train.stage:Stage.take", 9, KILL)
    assert forked(run, kill) == -signal.SIGKILL
    assert max(step for step, _ in scalars(tmp_path / "out")["train/loss/mlm"]) == 8
    assert newest(tmp_path / "out") == 5
    with resuming(tmp_path / "out"):
        assert forked(run) == 0
    assert scalars(tmp_path / "out") == told(tmp_path / "out")


def test_a_tracker_may_be_chosen_when_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It is then told what it has missed."""
    monkeypatch.chdir(tmp_path)
    run = [*RUN, "log.every=1", "checkpoint.every=2"]
    kill = partial(at_call, "tartan.train.stage:Stage.take", 5, KILL)
    assert forked(run, kill) == -signal.SIGKILL
    assert newest(tmp_path / "out") == 4
    with resuming(tmp_path / "out"):
        assert forked([*run, "tracker=tensorboard"]) == 0
    assert scalars(tmp_path / "out") == told(tmp_path / "out")


@pytest.mark.parametrize("name", MISSING)
def test_a_tracker_that_is_not_installed_is_refused(tartan: Tartan, tmp_path: Path, name: str):
    answer = tartan(*RUN, f"tracker={name}")
    assert answer.status == 2
    assert answer.err == f"tartan: tracker={name} is not installed: pip install {name}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_is_not_known_is_refused(tartan: Tartan, tmp_path: Path):
    answer = tartan(*RUN, "tracker=tensorbord")
    assert answer.status == 2
    assert (
        answer.err == "tartan: tracker=tensorbord: no such tracker; did you mean 'tensorboard'?\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_does_not_start_is_named_before_anything_is_trained(
    tartan: Tartan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(_: object) -> None:
        raise OSError("no server there\nat all")

    monkeypatch.setattr(TensorBoardTracker, "start", refuse)
    answer = tartan(*RUN, "tracker=tensorboard")
    assert answer.status == 2
    assert answer.err == "tartan: tracker=tensorboard does not start: no server there\n"
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_fails_is_named_once_and_the_run_goes_on(
    tartan: Tartan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("the server is gone")

    monkeypatch.setattr(TensorBoardTracker, "log", fail)
    answer = tartan(*RUN, "tracker=tensorboard")
    assert answer.status == 0, answer.err
    line = "Tracker tensorboard failed and was disabled; metrics.jsonl is still written: the server"
    assert answer.out.count(line) == 1
    assert summary(tmp_path / "out")["steps"] > 0


@pytest.mark.parametrize("name", ["wandb", "mlflow", "trackio"])
def test_each_tracker_goes_on_with_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    """The real ones, where they are installed, without a network."""
    if name in MISSING:
        pytest.skip(f"{name} is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    lines = [{"step": step, "stage": "joint", "train/loss/mlm": 1 / step} for step in (1, 2, 3)]
    notices: list[str] = []
    ids = []
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    for before, after in ((lines[:0], lines[:2]), (lines[:1], lines[1:])):
        tracker = start_tracker(name, tmp_path / "run", before, {"seed": 0}, notices.append)
        for line in after:
            tracker.log(line)
        tracker.close()
        ids.append(json.loads((tmp_path / "run/checkpoints/tracker.json").read_text())["id"])
    assert notices == []
    assert ids[0] == ids[1]
