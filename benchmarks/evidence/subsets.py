"""Write subsets of a task's labelled rows, the other rows as text without labels.

    python -m benchmarks.evidence.subsets TASK DIRECTORY SEEDS SIZE ...

For each seed and size `DIRECTORY/<task>-<size>/seed<k>` is a task that `data=jsonl` reads. A class
has its share of the rows, and at least one row; smaller subsets of a seed are subsets of larger
ones.
"""

import json
import random
import shutil
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path


def ranked(labels: Sequence[str], rng: random.Random) -> list[int]:
    """Return the numbers of all rows in an order whose beginnings are stratified.

    The first row of each class comes first, classes by name. The k-th of n rows of a class, in
    random order, then has the place (k + 0.5) / n.

    Args:
        labels: of the rows, [rows].
        rng: decides the order in a class.
    """
    classes: dict[str, list[int]] = defaultdict(list)
    for number, label in enumerate(labels):
        classes[label].append(number)
    places: list[tuple[float, str, int]] = []
    for label in sorted(classes):
        rows = classes[label]
        rng.shuffle(rows)
        for k, number in enumerate(rows):
            places.append(((k + 0.5) / len(rows) if k else -1.0, label, number))
    return [number for _, _, number in sorted(places)]


def write_subsets(task: Path, directory: Path, seeds: int, sizes: Sequence[int]) -> None:
    """Write the subsets of a task in a directory of train.jsonl, dev.jsonl and test.jsonl."""
    lines = [line for line in (task / "train.jsonl").read_text("utf-8").split("\n") if line.strip()]
    rows = [json.loads(line) for line in lines]
    for seed in range(seeds):
        order = ranked([row["label"] for row in rows], random.Random(f"{task.name} {seed}"))
        for size in sizes:
            place = directory / f"{task.name}-{size}" / f"seed{seed}"
            place.mkdir(parents=True, exist_ok=True)
            chosen, rest = sorted(order[:size]), sorted(order[size:])
            _write(place / "train.jsonl", [lines[number] for number in chosen])
            texts = [" ".join(rows[number]["text"].split()) for number in rest]
            _write(place / "unlabelled.txt", texts)
            for split in ("dev", "test"):
                shutil.copyfile(task / f"{split}.jsonl", place / f"{split}.jsonl")


def _write(path: Path, lines: Sequence[str]) -> None:
    """Write lines."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    task, directory, seeds, *sizes = sys.argv[1:]
    write_subsets(Path(task), Path(directory), int(seeds), [int(size) for size in sizes])
