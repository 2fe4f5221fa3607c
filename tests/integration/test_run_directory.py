"""A run's directory: links in it, damaged files of it, and what becomes of it meanwhile."""

import errno
import fcntl
import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from support.command import SMALL, Answer, records, write_task
from support.process import KILL, answered, at_call, forked
from support.runs import differences

Tartan = Callable[..., Answer]
RUN = ["run", "run_dir=out", "schedule=finetune", *SMALL]


def rename(run: Path) -> None:
    run.rename(run.with_name("renamed"))


@pytest.mark.parametrize(
    ("when", "call", "how"),
    [
        ("report.record:MetricsFile.write", 2, shutil.rmtree),
        ("report.record:MetricsFile.write", 2, rename),
        ("train.trainer:Checkpoints.save_best", 1, shutil.rmtree),
        ("body.export:write_whole", 1, shutil.rmtree),
        ("experiment.finish:summarise", 1, rename),
    ],
)
def test_a_run_whose_directory_is_removed_or_renamed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, call: int, how
):
    """And the directory is not made again, with half of a run in it."""
    monkeypatch.chdir(tmp_path)
    prepare = partial(at_call, f"tartan.{when}", call, partial(how, tmp_path / "out"))
    said = answered(RUN, tmp_path / "said", prepare).refusal()
    assert "was removed, renamed or unmounted" in said or "was removed or renamed" in said
    assert str(tmp_path / "out") in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("how", ["link", "hard link"])
def test_links_in_a_run_directory_are_not_followed(tartan: Tartan, tmp_path: Path, how: str):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    names = [
        "metrics.jsonl", ".metrics.jsonl.partial", ".summary.json.partial", ".hydra/config.yaml",
        "predictions-dev.jsonl", "report.md", "checkpoints/.origin.json.partial",
        "checkpoints/.checkpoint-6.partial", "figures/losses.png",
    ]  # fmt: skip
    for name in names:
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(precious) if how == "link" else path.hardlink_to(precious)
    (tmp_path / "out/.hydra/config.yaml").unlink()  # it would be a run's
    answer = tartan(*RUN, "report=true")
    assert answer.status == 0, answer.err
    assert precious.read_text() == "mine"
    assert precious.stat().st_nlink == 1
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_symlink()] == []


@pytest.mark.parametrize("name", [".hydra", "checkpoints", "figures", "tensorboard"])
def test_a_link_in_place_of_a_directory_of_a_run_is_one_line(
    tartan: Tartan, tmp_path: Path, name: str
):
    target, link = tmp_path / "precious", tmp_path / "out" / name
    target.mkdir()
    link.parent.mkdir()
    link.symlink_to(target)
    said = tartan(*RUN, "report=true").refusal()
    assert f"{link} is a link, and is not written to: remove it" in said
    assert list(target.iterdir()) == []
    assert list(link.parent.iterdir()) == [link]


def test_files_of_a_run_have_the_modes_that_the_umask_says(tartan: Tartan, tmp_path: Path):
    before = os.umask(0o027)
    try:
        assert tartan(*RUN, "report=true").status == 0
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {"model.safetensors", "report.html", "training.pt"} <= {path.name for path in files}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o640}
    directories = [path for path in (tmp_path / "out").rglob("*") if path.is_dir()]
    assert {path.stat().st_mode & 0o777 for path in directories} == {0o750}


def test_a_file_system_without_locks_is_a_notice(
    tartan: Tartan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    answer = tartan(*RUN, "steps=1")
    assert answer.status == 0, answer.err
    assert answer.out.count("has no locks: do not use the directory from another machine") == 1
    assert not (tmp_path / "out/.lock").exists()


@pytest.mark.parametrize(
    ("place", "reason"),
    [("/proc/nowhere/out", "No such file"), ("a" * 300 + "/out", "File name too long"),
     ("a\0b", "null byte")],
)  # fmt: skip
@pytest.mark.parametrize("several", [False, True])
def test_a_directory_that_cannot_be_made_is_one_line(
    tartan: Tartan, tmp_path: Path, place: str, reason: str, several: bool
):
    if several:
        answer = tartan("run", "-m", *RUN[2:], "seed=0,1", f"hydra.sweep.dir={place}")
    else:
        answer = tartan(*RUN, f"run_dir={place}")
    assert reason in answer.refusal()
    option = "hydra.sweep.dir" if several else "run_dir"
    assert reason == "null byte" or answer.err.endswith(f"choose another {option}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_permission_is_one_line(tartan: Tartan, tmp_path: Path):
    (tmp_path / "closed").mkdir(mode=0o500)
    assert "Permission denied" in tartan(*RUN, "run_dir=closed/deep/out").refusal()


MALFORMED = ["", "{", "[]", "null", "3", '{"a": 1}', '{"changes": 3}', '{"changes": [3]}', "\0", "["
             * 100_000]  # fmt: skip


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed after a checkpoint."""
    place = tmp_path_factory.mktemp("stopped")
    kill = partial(at_call, "tartan.train.stage:Stage.take", 5, KILL)
    command = [*RUN, "checkpoint.every=2", f"run_dir={place / 'out'}"]
    assert forked(command, kill) == -signal.SIGKILL
    return place / "out"


@pytest.mark.parametrize("name", ["checkpoints/origin.json", ".hydra/config.yaml"])
def test_a_damaged_file_of_a_run_is_one_line_or_restored(
    stopped: Path, tartan: Tartan, tmp_path: Path, name: str
):
    """Whatever is in it."""
    for content in [*MALFORMED[1:6], MALFORMED[-1], "!!python/object:os.system {}"]:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        shutil.copytree(stopped, tmp_path / "out")
        (tmp_path / "out" / name).write_text(content)
        answer = tartan(*RUN, "checkpoint.every=2")
        if answer.status == 0:
            assert (tmp_path / "out" / name).read_text() != content
        else:
            assert f"{name} cannot be read (" in answer.refusal()


def test_a_damaged_summary_is_one_line(tartan: Tartan, tmp_path: Path):
    assert tartan(*RUN).status == 0
    before = records(tmp_path / "out")
    for content in (*MALFORMED, '{"dev": 3, "test": {}, "weights": {}, "best_step": 1}'):
        (tmp_path / "out/summary.json").write_text(content)
        assert "out/summary.json " in tartan(*RUN).refusal(), content[:20]
    assert records(tmp_path / "out") == before


def test_a_pipe_in_place_of_any_file_of_a_run_does_not_make_it_wait(
    stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Opening one waits for a writer, for ever. SIGALRM ends a command that does."""
    monkeypatch.chdir(tmp_path)
    older = stopped / "checkpoints/checkpoint-2"
    files = [path for path in stopped.rglob("*") if path.is_file() and path.parent != older]
    names = [path.relative_to(stopped) for path in files]
    assert older.is_dir()
    assert Path("checkpoints/history.jsonl") in names
    for name in [*names, Path("summary.json"), Path("report.html")]:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        shutil.copytree(stopped, tmp_path / "out")
        (tmp_path / "out" / name).unlink(missing_ok=True)
        os.mkfifo(tmp_path / "out" / name)
        prepare = partial(signal.alarm, 60)
        answer = answered([*RUN, "checkpoint.every=2"], tmp_path / "said", prepare)
        assert answer.status in (0, 2), (name, answer)
        if answer.status == 2:
            assert name.name in answer.refusal()


def test_a_model_that_was_removed_is_exported_again(tartan: Tartan, tmp_path: Path):
    """As the notice says."""
    assert tartan(*RUN).status == 0
    (tmp_path / "out").rename(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "out", ignore=shutil.ignore_patterns("model"))
    answer = tartan(*RUN)
    assert answer.status == 0
    assert "out/model was removed: to export it again, remove summary.json and give" in answer.out
    (tmp_path / "out/summary.json").unlink()
    assert tartan(*RUN).status == 0
    assert differences(tmp_path / "whole", tmp_path / "out") == []


@pytest.mark.parametrize(
    ("stored", "line"),
    [
        ("data: {dir: '${oc.env:NOPE}'}", "data.dir=${oc.env:NOPE}: the environment variable NOPE"),
        ("steps: ${stps}", "steps=${stps}: 'stps' is not an option"),
        ("steps: [", "cannot be read ("),
        ("steps: !!python/object:os.system {}", "cannot be read ("),
        ("- 1", "cannot be read (not a map of options)"),
        ("\0", "cannot be read ("),
    ],
)
def test_a_stored_configuration_that_cannot_be_used_is_one_line(
    tartan: Tartan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: str, line: str
):
    """Of a run that was killed before its first checkpoint: nothing else says what it was."""
    monkeypatch.delenv("NOPE", raising=False)
    (tmp_path / "out/.hydra").mkdir(parents=True)
    path = tmp_path / "out/.hydra/config.yaml"
    path.write_text(stored + "\n")
    said = tartan(*RUN).refusal()
    assert "out/.hydra/config.yaml" in said
    assert line in said
    assert path.read_text() == stored + "\n"


def test_a_path_is_taken_as_it_is_typed(tartan: Tartan, tmp_path: Path):
    for name in ("2025_01_02", "task (1)=a,b"):
        write_task(tmp_path / name)
        typed = ["data=jsonl", f"data.dir={name}", *SMALL[:9], "steps=1", "report=false"]
        answer = tartan("run", f"run_dir=runs/{name}", "schedule=finetune", *typed)
        assert answer.status == 0, answer.err
        assert (tmp_path / "runs" / name / "summary.json").is_file()
