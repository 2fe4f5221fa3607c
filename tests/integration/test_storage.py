"""A disk that is full, files that are damaged, a directory that is in use."""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from support.command import Answer
from support.process import KILL, Forked, answered, at_call, forked
from support.runs import GRADUAL, differences, write_gradual

Tartan = Callable[..., Answer]
RUN = ["run", "data.dir=data", *GRADUAL, "steps=20", "eval.every=3", "checkpoint.every=5"]
KEPT = "checkpoint.keep=3"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    here = tmp_path_factory.mktemp("whole")
    write_gradual(here / "data")
    assert forked([*RUN, f"data.dir={here / 'data'}", f"run_dir={here / 'run'}"]) == 0
    return here / "run"


@pytest.fixture
def cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was killed after checkpoints of steps 5, 10 and 15, and a later best."""
    monkeypatch.chdir(tmp_path)
    write_gradual(tmp_path / "data")
    kill = partial(at_call, "tartan.train.stage:Stage.take", 20, KILL)
    assert forked([*RUN, KEPT, "run_dir=cut"], kill) == -signal.SIGKILL
    names = sorted(path.name for path in (tmp_path / "cut/checkpoints").glob("checkpoint-*"))
    assert names == ["checkpoint-10", "checkpoint-15", "checkpoint-5"]
    return tmp_path / "cut"


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def halve(path: Path) -> None:
    """Lose the end of a file."""
    os.truncate(path, path.stat().st_size // 2)


DAMAGE = {"a flipped bit": flip, "a lost end": halve, "no file": Path.unlink}


@pytest.mark.parametrize(
    ("file", "how"),
    [
        ("model.safetensors", "a flipped bit"),
        ("training.pt", "a lost end"),
        ("progress.json", "a flipped bit"),
        ("best.safetensors", "no file"),
        ("manifest.json", "a lost end"),
    ],
)
def test_the_newest_good_checkpoint_is_used_where_the_last_is_damaged(
    whole: Path, cut: Path, tartan: Tartan, file: str, how: str
):
    DAMAGE[how](cut / "checkpoints/checkpoint-15" / file)
    answer = tartan(*RUN, KEPT, "run_dir=cut")
    assert answer.status == 0, answer.err
    wrong = f"{file} is {'missing' if how == 'no file' else 'damaged'}"
    said = f"checkpoint-15: {wrong}. It is now checkpoint-15.damaged, and the run resumes from step"
    assert f"{said} 10\n" in answer.out
    assert differences(whole, cut) == []


def test_where_no_checkpoint_is_good_the_run_is_refused_and_all_stays(cut: Path, tartan: Tartan):
    for checkpoint in cut.glob("checkpoints/checkpoint-*"):
        flip(checkpoint / "training.pt")
    (cut / ".lock").unlink()  # the killed process left it, no longer locked
    before = {path: path.read_bytes() for path in cut.rglob("*") if path.is_file()}
    answer = tartan(*RUN, KEPT, "run_dir=cut")
    assert answer.status == 2
    assert answer.err.count("\n") == 1
    assert "cut/checkpoints (checkpoint-15: training.pt is damaged, checkpoint-10: " in answer.err
    assert {path: path.read_bytes() for path in cut.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("how", [flip, shutil.rmtree])
def test_the_best_model_and_the_metrics_are_those_of_the_checkpoint(
    whole: Path, cut: Path, tartan: Tartan, how: Callable[[Path], None]
):
    """Whatever became of best/ and metrics.jsonl since."""
    best = cut / "checkpoints/best"
    how(best if how is shutil.rmtree else best / "model.safetensors")
    (cut / "metrics.jsonl").write_text('{"half a li')
    assert tartan(*RUN, KEPT, "run_dir=cut").status == 0
    assert differences(whole, cut) == []


@pytest.mark.parametrize("when", ["trainer:Trainer._end", "trainer:Checkpoints.save"])
def test_a_best_model_damaged_while_the_run_lasts_is_told_and_put_right(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
):
    """It is neither gone on from nor copied into a checkpoint."""
    monkeypatch.chdir(tmp_path)
    write_gradual(tmp_path / "data")
    damage = partial(flip, Path("cut/checkpoints/best/model.safetensors"))
    prepare = partial(at_call, f"tartan.train.{when}", 2, damage)
    answer = answered([*RUN, "run_dir=cut"], tmp_path / "said", prepare)
    assert answer.status == 2
    assert "best: model.safetensors is damaged. Resume from the newest checkpoint" in answer.err
    assert forked([*RUN, "run_dir=cut"]) == 0
    assert differences(whole, tmp_path / "cut") == []


def fill(disk: Path) -> None:
    """Leave no room on a filesystem."""
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small filesystem of its own; skipped where none may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no filesystem may be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


MOMENTS = [
    ("train.weights_file:save_model", 3, "checkpoints/"),
    ("train.checkpoint:torch.save", 2, "checkpoints/checkpoint-10"),
    ("report.record:MetricsFile.write", 20, "metrics.jsonl"),
    ("body.export:write_whole", 1, "model"),
    ("experiment.finish:write_json", 1, "summary.json"),
]


@pytest.mark.parametrize(("when", "call", "path"), MOMENTS)
def test_a_full_disk_is_one_line_and_the_run_goes_on_once_there_is_room(
    whole: Path, tartan: Tartan, disk: Path, tmp_path: Path, when: str, call: int, path: str
):
    write_gradual(tmp_path / "data")
    command = [*RUN, f"run_dir={disk / 'cut'}"]
    prepare = partial(at_call, f"tartan.{when}", call, partial(fill, disk))
    _refused(answered(command, tmp_path / "said", prepare), disk / "cut" / path)
    (disk / "filler").unlink()
    assert tartan(*command).status == 0
    assert differences(whole, disk / "cut") == []


@pytest.mark.parametrize(("when", "call", "path"), MOMENTS[1:3])
def test_a_limit_on_files_is_one_line_too(
    whole: Path, tartan: Tartan, tmp_path: Path, when: str, call: int, path: str
):
    """The same where no filesystem may be mounted: the system refuses to let a file grow."""
    write_gradual(tmp_path / "data")
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (400, 400))
    prepare = partial(at_call, f"tartan.{when}", call, limit)
    answer = answered([*RUN, "run_dir=cut"], tmp_path / "said", prepare)
    _refused(answer, tmp_path / "cut" / path)
    assert tartan(*RUN, "run_dir=cut").status == 0
    assert differences(whole, tmp_path / "cut") == []


def _refused(answer: Answer, path: Path) -> None:
    assert answer.status == 2, answer.err
    assert answer.err.count("\n") == 1, answer.err
    assert str(path) in answer.err
    assert "cannot be written (" in answer.err
    assert "make room, then give the same command; what was written before is kept" in answer.err


def test_a_directory_in_use_is_refused_with_the_process_that_has_it(tartan: Tartan, tmp_path: Path):
    """Until that dies, however it does."""
    write_gradual(tmp_path / "data")
    command = [*RUN, "run_dir=out"]
    first = Forked(*command, "steps=100000", "eval.patience=0")
    while not (tmp_path / "out/metrics.jsonl").exists():
        assert first.poll() is None
        time.sleep(0.01)
    holder = json.loads((tmp_path / "out/.lock").read_text())
    assert holder["host"] == socket.gethostname()
    for other in (command, [*command, "resume=never"], [*RUN, "resume=out"]):
        answer = tartan(*other)
        assert answer.status == 2
        assert answer.err == (
            f"tartan: {tmp_path if other[-1] != 'resume=out' else ''}".rstrip("/")
            + ("/" if other[-1] != "resume=out" else "")
            + f"out is in use by process {holder['pid']} on {holder['host']}: "
            "wait until that run ends, or choose another run_dir\n"
        )
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert tartan(*command, "steps=100000", "eval.patience=0", "resume=never").status == 2
    assert not (tmp_path / "out/.lock").exists()


def test_jobs_of_sweeps_do_not_share_a_directory(tartan: Tartan, tmp_path: Path):
    write_gradual(tmp_path / "data")
    sweep = [
        "run",
        "-m",
        *RUN[1:],
        "hydra.sweep.dir=sweep",
        "steps=100000",
        "eval.patience=0",
    ]
    first = Forked(*sweep, "seed=0,1")
    while not (tmp_path / "sweep/seed=0/metrics.jsonl").exists():
        assert first.poll() is None
        time.sleep(0.01)
    assert "sweep/seed=0 is in use by process" in tartan(*sweep, "seed=choice(0)").err
    first.send_signal(signal.SIGKILL)
    first.wait()
