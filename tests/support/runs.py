"""Runs that are compared with one another."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryFile

import pytest

from support.command import summary
from tartan.train.stage import Stage

KEYS = ("dev", "test", "best_step", "steps", "weights", "skipped_steps", "changes")
GRADUAL = [
    "data=jsonl", "primary=regression", "objectives=[mlm,simcse]", "weighting=meta", "batch_size=8",
    "precision=fp32", "device=cpu", "model.hidden_size=16", "model.intermediate_size=32",
    "model.layers=1", "optimizer.body_lr=0.0005", "optimizer.head_lr=0.0005", "log.every=2",
    "schedule.stages.finetune.epochs=4", "schedule.stages.finetune.patience=3",
    "schedule.stages.finetune.optimizer.body_lr=0.0005",
]  # fmt: skip
"""A run that saves several best models, and whose second stage stops early."""


def write_gradual(directory: Path) -> Path:
    """The task of `GRADUAL`: a text's number is how many of its words are good."""
    directory.mkdir(parents=True)
    for split, size in {"train": 48, "dev": 32, "test": 16}.items():
        rng, rows = Random(split), []
        for number in range(size):
            good = rng.randrange(6)
            words = ["good"] * good + ["bad"] * (5 - good)
            rng.shuffle(words)
            rows.append({"text": " ".join([*words, f"{split}{number}"]), "label": good / 2})
        (directory / f"{split}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return directory


def differences(one: Path, other: Path) -> list[str]:
    """What of two complete runs differs: metrics, results, or a file of the model, to the byte."""
    models = [
        sorted(path.name for path in (run / "model").iterdir() if path.name != "README.md")
        for run in (one, other)
    ]  # the card names the command, which may differ in a path
    assert len(models[0]) > 3
    files = ["metrics.jsonl", *(f"model/{name}" for name in {*models[0], *models[1]})]
    found = [name for name in files if _content(one / name) != _content(other / name)]
    return found + [key for key in KEYS if summary(one)[key] != summary(other)[key]]


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def cut(run: Path, name: str, checkpoint: str) -> Path:
    """A copy of a complete run as it was at a checkpoint."""
    copied = shutil.copytree(run, run.with_name(name))
    (copied / "summary.json").unlink()
    for path in copied.glob("checkpoints/checkpoint-*"):
        if path.name != checkpoint:
            shutil.rmtree(path)
    return copied


def newest(run: Path) -> int:
    """The step of a run's newest checkpoint, of one that was being replaced too; 0 without any."""
    names = [path.name for path in run.glob("checkpoints/*")]
    found = [re.fullmatch(r"checkpoint-(\d+)|\.checkpoint-(\d+)\.replaced", name) for name in names]
    return max((int(match[1] or match[2]) for match in found if match), default=0)


@contextmanager
def taking() -> Iterator[list[int]]:
    """The numbers of the steps that this process and those that it forks take, once it has ended.

    Of several ranks, those of the first.
    """
    found: list[int] = []
    take = Stage.take
    with TemporaryFile("ab+") as taken, pytest.MonkeyPatch.context() as patch:

        def noted(stage: Stage, step: int) -> None:
            if os.environ.get("RANK", "0") == "0":
                os.write(taken.fileno(), f"{step} ".encode())
            take(stage, step)

        patch.setattr(Stage, "take", noted)
        yield found
        taken.seek(0)
        found += [int(step) for step in taken.read().split()]


@contextmanager
def resuming(run: Path) -> Iterator[None]:
    """A run that the block completes takes the steps from its newest checkpoint on, and no others.

    A run is a function of its seed: one that began again would end in the same way.
    """
    first = newest(run)
    with taking() as taken:
        yield
    expected = list(range(first, summary(run)["steps"]))
    assert taken == expected, f"it took steps {taken} instead of {expected}"
    assert not list(run.glob("checkpoints/*.damaged"))
