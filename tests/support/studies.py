"""Studies small enough for tests."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from support.command import SMALL
from tartan.study.results import (
    FORMAT,
    ArmResult,
    Estimate,
    Pair,
    Point,
    RunResult,
    SplitUse,
    StudyResults,
)

TINY = [*SMALL, "study.arms=[finetune,mt]", "study.seeds=2", "schedule.stages.finetune.epochs=1"]
"""Two arms on two seeds, in seconds."""
ONE_STEP = [
    *(text for text in SMALL if not text.startswith(("data.", "steps="))),
    "steps=1", "study.seeds=1", "schedule.stages.finetune.epochs=1",
]  # fmt: skip
"""What makes a study of other data short."""
TIMED = ("seconds", "seconds_per_step", "peak_memory_bytes")


def wait_for(file: Path, process: "subprocess.Popen[str] | None" = None) -> None:
    """Wait until a file has something in it, or a process has ended."""
    while not (file.exists() and file.stat().st_size):
        if process is not None and process.poll() is not None:
            return
        time.sleep(0.01)


def interrupting(file: Path, number: signal.Signals) -> threading.Thread:
    """Send this process a signal when a file has something in it."""

    def interrupt() -> None:
        wait_for(file)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    return thread


def results(study: Path) -> dict[str, Any]:
    """A study's results."""
    found: dict[str, Any] = json.loads((study / "study.json").read_text())
    return found


def untimed(study: Path) -> dict[str, Any]:
    """A study's results, without what is a matter of time."""
    found: dict[str, Any] = without(results(study), TIMED)
    return found


def same(one: Path, other: Path) -> None:
    """Fail unless two studies came to the same results; a table without seconds, to the byte."""
    assert untimed(one) == untimed(other)
    assert (one / "pairs.csv").read_bytes() == (other / "pairs.csv").read_bytes()


def without(content: Any, names: Collection[str]) -> Any:
    """A JSON value without the fields of these names, however deep."""
    if isinstance(content, dict):
        return {key: without(value, names) for key, value in content.items() if key not in names}
    return [without(value, names) for value in content] if isinstance(content, list) else content


def made_up(**changes: Any) -> StudyResults:
    """What a study of two arms on three seeds came to, one run of which failed.

    `labels` are those of its arms; other changes replace what `StudyResults` has.
    """
    labels = changes.pop("labels", ("Fine-tuning", "META-TARTAN"))
    scores = {"finetune": (0.40, 0.44, 0.42), "meta": (0.90, 0.96)}
    failed = RunResult("meta", 2, "meta/seed2", "failed", "cannot <b>go</b> on")
    difference = Estimate(n=2, mean=0.51, std=0.01, low=0.5, high=0.52)
    whole: dict[str, Any] = {
        "format": FORMAT,
        "metric": "macro_f1",
        "confidence": 0.95,
        "level": 0.05,
        "seeds": (0, 1, 2),
        "common": ("steps=6",),
        "budget": ("120 rows each",),
        "splits": (SplitUse("test", 1600, "read once"),),
        "arms": tuple(map(_arm, scores, labels)),
        "pairs": (
            Pair("meta", "finetune", (0, 1), (0.5, 0.52), difference, 0.01, True, 0.02, 0.01,
                 51.0),
        ),
        "runs": (*(_run(a, s, test) for a, of in scores.items() for s, test in enumerate(of)),
                 failed),
        "notes": ("Too few seeds.",),
        "conclusions": ("META-TARTAN is better.",),
    }  # fmt: skip
    return StudyResults(**whole | changes)


def _arm(name: str, label: str) -> ArmResult:
    estimate = Estimate(n=3, mean=0.42, std=0.02, low=0.4, high=0.44)
    weights = {"classification": 0.7, "mlm": 0.3} if name == "meta" else {"classification": 1.0}
    return ArmResult(
        name, label, ("schedule=finetune",), (), estimate, estimate, weights, 120.0, estimate,
        estimate, 500_000_000,
    )  # fmt: skip


def _run(arm: str, seed: int, test: float) -> RunResult:
    scores = {"macro_f1": test}
    weights = {"classification": 0.7, "mlm": 0.3 - seed / 100} if arm == "meta" else {arm: 1.0}
    curve = tuple(Point(step, 8 * step, step / (2 + seed), test / 2) for step in (3, 6))
    return RunResult(
        arm, seed, f"{arm}/seed{seed}", "finished", None, scores, scores, weights, 6, 6, 48, 2.0,
        0.3, 500_000_000, curve,
    )  # fmt: skip
