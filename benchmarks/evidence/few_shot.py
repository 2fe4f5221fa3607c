"""SetFit (Tunstall et al., 2022) on subsets of labels: what a user with few labels would pick.

    python -m benchmarks.evidence.few_shot MODEL RESULTS STEPS TASK_DIRECTORY ...

Needs `pip install setfit`. The sentence encoder is trained for STEPS steps of 16 pairs of labelled
texts, then logistic regression is fitted on its features. Both with SetFit's defaults: no trials,
nothing chosen on dev. The seed is the number at the end of a directory's name. Directories whose
scores are in RESULTS are left out.
"""

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import setfit
import torch
from datasets import Dataset
from sklearn.metrics import f1_score

from benchmarks.origin import commit

LENGTH = 64
"""Longest text, in tokens."""


def fitted(model: str, steps: int, directory: Path) -> dict[str, Any]:
    """Train on a task; return macro-F1 on dev and test."""
    found = re.search(r"\d+$", directory.name)
    seed = int(found[0]) if found else 0
    splits = {split: _rows(directory / f"{split}.jsonl") for split in ("train", "dev", "test")}
    labels = sorted({row["label"] for row in splits["train"]})
    start = time.perf_counter()
    classifier = setfit.SetFitModel.from_pretrained(model, labels=labels)
    classifier.model_body.max_seq_length = LENGTH
    with TemporaryDirectory() as scratch:
        options = setfit.TrainingArguments(
            output_dir=scratch, batch_size=16, max_steps=steps, seed=seed, report_to="none",
            save_strategy="no",
        )  # fmt: skip
        train = Dataset.from_dict(
            {
                "text": [row["text"] for row in splits["train"]],
                "label": [labels.index(row["label"]) for row in splits["train"]],
            }
        )
        setfit.Trainer(model=classifier, args=options, train_dataset=train).train()
    scores = {split: _score(classifier, splits[split], labels) for split in ("dev", "test")}
    seconds = time.perf_counter() - start
    return {"task": _task(directory), **scores, "seconds": seconds}


def _task(directory: Path) -> str:
    """Return the name of a task and a seed."""
    return "/".join(directory.parts[-2:])


def _score(classifier: Any, rows: Sequence[Mapping[str, str]], labels: Sequence[str]) -> float:
    """Return macro-F1 as tartan computes it: over classes that occur or are predicted."""
    predicted = [str(one) for one in classifier.predict([row["text"] for row in rows])]
    named = [labels[int(one)] if one.isdigit() else one for one in predicted]
    given = [row["label"] for row in rows]
    return float(f1_score(given, named, average="macro", zero_division=0))


def _rows(path: Path) -> list[Mapping[str, str]]:
    """Read a split."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def main(model: str, results: Path, steps: int, directories: Sequence[Path]) -> None:
    """Train on each task that has no scores in the file, and write it after each."""
    torch.set_num_threads(1)
    runs: list[dict[str, Any]] = json.loads(results.read_text())["runs"] if results.exists() else []
    done = {run["task"] for run in runs}
    for directory in (one for one in directories if _task(one) not in done):
        runs.append(fitted(model, steps, directory))
        means = {split: float(np.mean([run[split] for run in runs])) for split in ("dev", "test")}
        content = {
            "commit": commit(),
            "setfit": setfit.__version__,
            "steps": steps,
            "metric": "macro_f1",
            "mean": means,
            "runs": runs,
        }
        results.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(json.dumps(runs[-1]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), [Path(one) for one in sys.argv[4:]])
