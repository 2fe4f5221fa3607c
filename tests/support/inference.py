"""Finished runs, and what predict and evaluate write about them."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.command import SMALL, Answer
from support.pages import check_self_contained, read
from tartan.cli import main

TRAINED = [text for text in SMALL if not text.startswith("data.")] + ["optimizer.body_lr=0.003"]
"""The options of `trained`."""


def trained(directory: Path, *overrides: str) -> Path:
    """A finished run of a task in `task/` beside it."""
    run = directory / "run"
    options = ["data=jsonl", f"data.dir={directory / 'task'}", f"run_dir={run}", *overrides]
    assert main(["run", *options, *TRAINED]) == 0
    return run


def read_csv(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def write_csv(path: Path, rows: list[dict[str, Any]], delimiter: str = ",") -> Path:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def evaluated(tartan: Callable[..., Answer], run: Path, data: Path, *more: str) -> dict[str, Any]:
    answer = tartan("evaluate", str(run), str(data), "out=found", "resamples=50", *more)
    assert answer.status == 0, answer.err
    found: dict[str, Any] = json.loads(Path("found/evaluation.json").read_text())
    page = read(Path("found/evaluation.html"))
    check_self_contained(page)
    for name, metric in found["metrics"].items():
        assert f"{name:9}  {metric['value']:.4f}" in answer.out or name in answer.out
        assert f"{metric['value']:.4f}" in page.cells()
        assert metric["low"] <= metric["high"]
    return found
