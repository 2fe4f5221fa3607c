"""What is installed is listed, and completed by a shell."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def test_list_shows_every_plugin_its_distribution_and_its_cost(
    spawn: Callable[..., "subprocess.Popen[str]"],
):
    process = spawn("list")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines()]
    shown = {row[0]: row[1:] for row in rows if row}
    assert shown["mlm"][0] == "auxiliary"
    assert shown["classification"][0] == "primary; auxiliary as classification_aux"
    assert shown["rtd"][2:4] == ["1 forward, 1 backward", "one pass of the generator"]
    assert shown["rdrop"][2] == "2 forward, 2 backward"
    assert shown["vat"][2] == "3 forward, 2 backward"
    assert shown["static"][1:] == ["1", "1"]
    assert shown["meta"][1:] == ["n + 1", "3"]
    assert all("tartan 0." in " ".join(row) for row in shown.values())


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("tartan run weighting=me", "weighting=meta"),
        ("tartan run objectives=", "objectives=mlm"),
        ("tartan run objectives=[mlm] model=ro", "model=roberta-base"),
        ("tartan run optimizer.body", "optimizer.body_lr="),
    ],
)
def test_a_shell_completes_what_can_follow(typed: str, completed: str, tmp_path: Path):
    """As bash asks after `eval "$(tartan -sc install=bash)"`."""
    asked = {**os.environ, "COMP_LINE": typed, "COMP_POINT": str(len(typed))}
    done = subprocess.run(
        [sys.executable, "-m", "tartan", "-sc", "query=bash"],
        cwd=tmp_path, env=asked, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert completed in done.stdout.split()
