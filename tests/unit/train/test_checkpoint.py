"""Checkpoints: which are kept."""

from pathlib import Path

from tartan.train.checkpoint import Checkpoints


def test_a_run_that_resumes_removes_old_checkpoints_that_a_kill_left(tmp_path: Path):
    """The kill may come between the last checkpoint and the removal of the one before it."""
    for step in (2, 4, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
    Checkpoints(tmp_path, keep=2).rewind(tmp_path / "checkpoint-10", [])
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-4", "checkpoint-10"}
