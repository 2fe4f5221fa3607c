"""The command line as a user types it, on tasks small enough to train in seconds."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tartan.cli import main

SMALL = [
    "steps=6", "batch_size=8", "eval.every=3", "log.every=2", "precision=fp32", "device=cpu",
    "model.hidden_size=16", "model.intermediate_size=32", "model.layers=1",
    "data.train=24", "data.dev=16", "data.test=16", "data.unlabelled=40",
]  # fmt: skip
"""Overrides that make the demo a matter of a second."""


@dataclass
class Answer:
    """What a command said."""

    status: int
    out: str
    err: str


@pytest.fixture
def tartan(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Answer]:
    """Run a command in this process, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tartan"])

    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        try:
            status = main(arguments)
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        said = capsys.readouterr()
        return Answer(status, said.out, said.err)

    return run


@pytest.fixture
def spawn(tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Start a command as a process of its own, in an empty directory."""

    def start(*arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tartan", *arguments],
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def write_task(directory: Path, **files: list[Any] | str) -> Path:
    """A jsonl task; `train=[...]` and so on replace its files, a str is written as it is."""
    rows = [
        {"text": f"{word} {word} number {n}", "label": label}
        for n in range(8)
        for word, label in (("red", "warm"), ("blue", "cold"))
    ]
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("train", "dev", "test"):
        given = files.get(name, [{**r, "text": f"{r['text']} of {name}"} for r in rows])
        text = given if isinstance(given, str) else "".join(json.dumps(r) + "\n" for r in given)
        (directory / f"{name}.jsonl").write_text(text, encoding="utf-8")
    for name in ("unlabelled", "domain"):
        if name in files:
            (directory / f"{name}.txt").write_text(str(files[name]), encoding="utf-8")
    return directory


def records(run: Path) -> list[dict[str, Any]]:
    """A run's metrics, without what is a matter of time."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def summary(run: Path) -> dict[str, Any]:
    """A run's summary."""
    found: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return found
