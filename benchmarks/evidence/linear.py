"""A linear classifier on the features of a frozen encoder: what a user would try first.

    python -m benchmarks.evidence.linear MODEL RESULTS TASK_DIRECTORY ...

Features are the mean of a text's last hidden states, as sentence-transformers computes them for
all-MiniLM-L6-v2. Logistic regression is fitted for each C of PENALTIES; the C that is best on dev
is tested.
"""

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from torch import Tensor
from transformers import AutoModel, AutoTokenizer

from benchmarks.origin import commit

PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Values of C, the inverse of the penalty, on features of length 1."""


class Features:
    """Features of texts, each computed once."""

    def __init__(self, model: str, length: int = 64, batch: int = 64) -> None:
        """Load a model.

        Args:
            model: a directory or a hub id.
            length: longest text, in tokens.
            batch: texts that are read at once.
        """
        self._model, self._length, self._batch = AutoModel.from_pretrained(model), length, batch
        self._tokenizer = AutoTokenizer.from_pretrained(model)
        self._model.eval()
        self._known: dict[str, np.ndarray] = {}

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return the features of texts, [texts, hidden], each of length 1."""
        new = sorted({text for text in texts if text not in self._known}, key=len)
        for start in range(0, len(new), self._batch):
            part = new[start : start + self._batch]
            self._known |= dict(zip(part, self._compute(part).numpy(), strict=True))
        return np.stack([self._known[text] for text in texts])

    @torch.no_grad()
    def _compute(self, texts: Sequence[str]) -> Tensor:
        """Compute features, [texts, hidden]."""
        read = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=self._length, return_tensors="pt"
        )
        hidden = self._model(**read).last_hidden_state
        mask = read["attention_mask"][..., None]
        return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)


def fitted(features: Features, directory: Path) -> dict[str, Any]:
    """Fit on a task; return macro-F1 on dev and test of the C that is best on dev."""
    splits = {split: _rows(directory / f"{split}.jsonl") for split in ("train", "dev", "test")}
    given = {name: features([row["text"] for row in rows]) for name, rows in splits.items()}
    labels = {name: [row["label"] for row in rows] for name, rows in splits.items()}
    start = time.perf_counter()
    best: dict[str, Any] = {"dev": -1.0}
    for penalty in PENALTIES:
        model = LogisticRegression(C=penalty, max_iter=2000).fit(given["train"], labels["train"])
        dev = _score(labels["dev"], model.predict(given["dev"]))
        if dev > best["dev"]:
            best = {"dev": dev, "C": penalty, "model": model}
    test = _score(labels["test"], best.pop("model").predict(given["test"]))
    seconds = time.perf_counter() - start
    return {"task": "/".join(directory.parts[-2:]), "test": test, **best, "seconds": seconds}


def _score(given: Sequence[str], predicted: Iterable[str]) -> float:
    """Return macro-F1 as tartan computes it: over classes that occur or are predicted."""
    return float(f1_score(given, list(predicted), average="macro", zero_division=0))


def _rows(path: Path) -> list[Mapping[str, str]]:
    """Read a split."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def main(model: str, results: Path, directories: Sequence[Path]) -> None:
    """Fit on each task and write the scores."""
    features = Features(model)
    found = [fitted(features, directory) for directory in directories]
    tests = [one["test"] for one in found]
    means = {"test": float(np.mean(tests)), "dev": float(np.mean([one["dev"] for one in found]))}
    content = {"commit": commit(), "metric": "macro_f1", "mean": means, "runs": found}
    results.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"{len(found)} runs: test {means['test']:.4f} ± {np.std(tests, ddof=1):.4f}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), [Path(directory) for directory in sys.argv[3:]])
