"""Small tasks of any kind in files, and what a run on one predicts."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from support.command import SMALL

RUN = ["data=jsonl", "data.dir=data", "weighting=meta", "run_dir=out", *SMALL[:9]]
SIZES = {"train": 24, "dev": 12, "test": 12}


def write(directory: Path, row: Callable[[Random, str], dict[str, Any]]) -> None:
    """A task whose every text is its own."""
    directory.mkdir()
    for split, size in SIZES.items():
        rng = Random(split)
        rows = [json.dumps(row(rng, f"{split}{n}")) + "\n" for n in range(size)]
        (directory / f"{split}.jsonl").write_text("".join(rows))


def predictions(run: Path) -> list[dict[str, Any]]:
    """What a run reports of dev, row by row."""
    lines = (run / "predictions-dev.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]
