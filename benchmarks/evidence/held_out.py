"""Write subsets of a task whose dev split is 400 rows that the study leaves unlabelled.

    python -m benchmarks.evidence.held_out TASK SUBSETS DIRECTORY SEED ...

For exploration: dev and test of the task are not read, and 400 rows show smaller differences than
the task's own dev. SUBSETS is what `benchmarks.evidence.subsets` wrote for one size; the seeds are
outside the study.
"""

import json
import random
import shutil
import sys
from pathlib import Path

ROWS, TEST = 400, 20
"""Rows of dev; and of test, which nothing is read from but which a task must have."""


def write_held_out(task: Path, subsets: Path, directory: Path, seed: int) -> None:
    """Write `directory/seed<k>` from `subsets/seed<k>` and the task's other training rows."""
    source, place = subsets / f"seed{seed}", directory / f"seed{seed}"
    place.mkdir(parents=True, exist_ok=True)
    for name in ("train.jsonl", "unlabelled.txt"):
        shutil.copyfile(source / name, place / name)
    labelled = {json.loads(line)["text"] for line in _lines(source / "train.jsonl")}
    rest = [line for line in _lines(task / "train.jsonl")
            if json.loads(line)["text"] not in labelled]  # fmt: skip
    random.Random(seed).shuffle(rest)
    for name, rows in (("dev", rest[:ROWS]), ("test", rest[:TEST])):
        (place / f"{name}.jsonl").write_text("".join(f"{row}\n" for row in rows), "utf-8")


def _lines(path: Path) -> list[str]:
    """Return the rows of a file."""
    return [line for line in path.read_text("utf-8").split("\n") if line.strip()]


if __name__ == "__main__":
    task, subsets, directory, *seeds = sys.argv[1:]
    for seed in map(int, seeds):
        write_held_out(Path(task), Path(subsets), Path(directory), seed)
