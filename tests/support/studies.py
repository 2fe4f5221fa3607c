"""Studies small enough for tests."""

import json
from pathlib import Path
from typing import Any

from support.command import SMALL

TINY = [*SMALL, "study.arms=[finetune,mt]", "study.seeds=2", "schedule.stages.finetune.epochs=1"]
"""Two arms on two seeds, in seconds."""
ONE_STEP = [
    *(text for text in SMALL if not text.startswith(("data.", "steps="))),
    "steps=1", "study.seeds=1", "schedule.stages.finetune.epochs=1",
]  # fmt: skip
"""What makes a study of other data short."""
TIMED = ("seconds", "seconds_per_step", "peak_memory_bytes")


def results(study: Path) -> dict[str, Any]:
    """A study's results."""
    found: dict[str, Any] = json.loads((study / "study.json").read_text())
    return found


def untimed(study: Path) -> dict[str, Any]:
    """A study's results, without what is a matter of time."""
    found: dict[str, Any] = _without(results(study))
    return found


def same(one: Path, other: Path) -> None:
    """Fail unless two studies came to the same results; a table without seconds, to the byte."""
    assert untimed(one) == untimed(other)
    assert (one / "pairs.csv").read_bytes() == (other / "pairs.csv").read_bytes()


def _without(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without(value) for key, value in content.items() if key not in TIMED}
    return [_without(value) for value in content] if isinstance(content, list) else content
