"""Checkpoints: which are kept, and what is on the disk before one has its name."""

import os
from pathlib import Path

import pytest
from torch import nn

from tartan.train.checkpoint import Checkpoints
from tartan.train.progress import Progress


def test_a_run_that_resumes_removes_old_checkpoints_that_a_kill_left(tmp_path: Path):
    """The kill may come between the last checkpoint and the removal of the one before it."""
    for step in (2, 4, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
    Checkpoints(tmp_path, keep=2).rewind(tmp_path / "checkpoint-10", [])
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-4", "checkpoint-10"}


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    happened: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def flush(descriptor: int) -> None:
        happened.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def name(path: Path, target: Path) -> Path:
        happened.append("renamed")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "rename", name)
    Checkpoints(tmp_path, keep=2).save(nn.Linear(2, 2), {}, Progress(step=3))
    files = {path.name for path in (tmp_path / "checkpoint-3").iterdir()}
    assert len(files) == 5
    at = happened.index("renamed")
    assert set(happened[:at]) == {"history.jsonl", ".checkpoint-3.partial", *files}
    assert happened[at + 1 :] == [tmp_path.name]
