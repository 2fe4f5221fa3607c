"""What a study says before it starts, and what becomes of runs that do not end."""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from support.command import Answer
from support.studies import TINY, interrupting, results
from tartan.experiment.lock import locked


def test_a_study_says_before_it_starts_how_long_it_takes_and_what_it_can_show(
    tartan: Callable[..., Answer], tmp_path: Path
):
    """Measured over the first steps of every stage; later by the runs that are finished."""
    typed = [*TINY, "steps=20", "eval.every=10"]
    answer = tartan("study", *typed)
    assert answer.status == 0, answer.err
    before = answer.out[: answer.out.index("[1/4]")].splitlines()
    number = r"\d+(\.\d+)? s"
    assert re.fullmatch(
        f"At most about {number}, one run at a time; a run takes finetune {number}, mt {number}: "
        "measured over the first steps.",
        before[-2],
    )
    assert before[-1] == (
        "2 seeds and 1 comparison: no difference can be shown, however large; at least 6 seeds "
        "are needed."
    )
    thread = interrupting(tmp_path / "study/finetune/seed2/metrics.jsonl", signal.SIGINT)
    more = tartan("study", *typed, "study.seeds=6")
    thread.join()
    assert more.status == 128 + signal.SIGINT
    between = more.out[: more.out.index("[1/8]")].splitlines()
    assert between[-2].endswith(": measured over the first steps or finished runs.")
    assert between[-1].startswith(
        "6 seeds and 1 comparison: the smallest difference that is shown with a probability of 80%"
    )


def test_an_arm_that_cannot_be_measured_is_named_and_fails_in_its_runs(
    tartan: Callable[..., Answer], tmp_path: Path
):
    """Its second step leads to numbers that are not finite."""
    own = ["schedule=finetune", "objectives=[]", "optimizer.body_lr=1e30"]
    typed = [*TINY, f"+study.overrides.broken={json.dumps(own)}", "study.seeds=1", "steps=20"]
    answer = tartan("study", *typed, "study.arms=[finetune,broken]")
    assert answer.status == 1
    assert "Not measured: broken." in answer.out
    assert {run["arm"]: run["status"] for run in results(tmp_path / "study")["runs"]} == {
        "finetune": "finished", "broken": "failed",
    }  # fmt: skip


def test_a_run_that_died_before_its_page_was_written_gets_it(
    tmp_path: Path, tartan: Callable[..., Answer]
):
    one = [*TINY, "study.arms=[mt]", "study.seeds=1", "report=true"]
    assert tartan("study", *one).status == 0
    run, before = tmp_path / "study/mt/seed0", results(tmp_path / "study")
    (run / "report.html").unlink()
    (run / ".lock").write_text("left behind")
    again = tartan("study", *one)
    assert again.status == 0
    assert "0 finished, 1 to do" in again.out
    assert (run / "report.html").exists()
    assert not (run / ".lock").exists()
    assert results(tmp_path / "study")["runs"] == before["runs"]
    assert "1 finished, 0 to do" in tartan("study", *one).out


def test_a_finished_run_whose_export_fails_is_reported_and_tried_again(
    tmp_path: Path, tartan: Callable[..., Answer]
):
    """What fails is that its directory is in use; its scores stay in the tables."""
    one = [*TINY, "study.arms=[mt]", "study.seeds=1"]
    assert tartan("study", *one).status == 0
    (before,) = results(tmp_path / "study")["runs"]
    with locked(tmp_path / "study/mt/seed0"):
        failed = tartan("study", *one, "export=onnx")
    assert failed.status == 1
    assert failed.err.startswith("tartan: 1 of 1 runs failed (mt/seed0)")
    (run,) = results(tmp_path / "study")["runs"]
    assert " is in use by process " in run["error"]
    assert run | {"error": None} == before
    again = tartan("study", *one, "export=onnx")
    assert again.status == 0, again.err
    assert "0 finished, 1 to do" in again.out
    assert "one run at a time" not in again.out  # nothing is trained, so no time is measured
    assert (tmp_path / "study/mt/seed0/model/onnx/model.onnx").exists()
    assert results(tmp_path / "study")["runs"] == [before]
    assert "1 finished, 0 to do" in tartan("study", *one, "export=onnx").out
    assert "1 finished, 0 to do" in tartan("study", *one).out


@pytest.mark.parametrize(
    ("number", "launcher"),
    [(signal.SIGINT, []), (signal.SIGTERM, ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"])],
    ids=["one by one", "joblib"],
)
def test_a_signal_saves_the_runs_under_way(
    tartan: Callable[..., Answer], tmp_path: Path, number: signal.Signals, launcher: list[str]
):
    """Joblib would kill them."""
    first = tmp_path / "study/finetune/seed0"
    thread = interrupting(first / "metrics.jsonl", number)
    long = ["steps=20000", "checkpoint.every=10000", "eval.patience=0"]
    answer = tartan("study", *TINY, *long, *launcher)
    thread.join()
    assert answer.status == 128 + number
    assert answer.err == f"tartan: stopped by {number.name}; to resume, give the same command\n"
    assert list(first.glob("checkpoints/checkpoint-*"))
    assert {run["status"] for run in results(tmp_path / "study")["runs"]} == {"unfinished"}


def test_a_broken_run_is_named_the_others_go_on_and_it_is_tried_again(
    tmp_path: Path, tartan: Callable[..., Answer]
):
    """What breaks it is that its directory is in use."""
    one_arm = [*TINY, "study.arms=[mt]"]
    with locked(tmp_path / "study/mt/seed1"):
        broken = tartan("study", *one_arm)
    assert broken.status == 1
    assert broken.err == (
        "tartan: 1 of 2 runs failed (mt/seed1): give the same command to try them again\n"
    )
    found = {run["directory"]: run for run in results(tmp_path / "study")["runs"]}
    assert found.pop("mt/seed1")["error"].startswith(
        f"{tmp_path}/study/mt/seed1 is in use by process "
    )
    assert {run["status"] for run in found.values()} == {"finished"}
    assert "mt/seed1 failed: " in (tmp_path / "study/study.md").read_text()
    repaired = tartan("study", *one_arm)
    assert repaired.status == 0
    assert "1 finished, 1 to do" in repaired.out
    assert {run["status"] for run in results(tmp_path / "study")["runs"]} == {"finished"}
