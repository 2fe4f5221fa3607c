"""A run's learning curve: the end-task rows and seconds spent before each evaluation on dev."""

from collections.abc import Callable
from typing import Any

from tartan.train.progress import Progress


def evaluations(progress: Progress, rows: Callable[[int], int]) -> list[dict[str, Any]]:
    """Return every evaluation of a run on dev, in order.

    Args:
        progress: how far the run is.
        rows: how many of the end task the first steps that train it have read, repetitions counted.

    Returns:
        For each: `step`; `primary_examples`, rows of the end task trained on until then,
        repetitions counted; `seconds` spent on steps until then; and `dev`, metrics by name.
    """
    found = []
    for record, seconds in progress.history:
        dev = {k.removeprefix("eval/"): v for k, v in record.items() if k.startswith("eval/")}
        if dev:
            step = int(record["step"])
            seen = rows(progress.primary_steps(step))
            found.append({"step": step, "primary_examples": seen, "seconds": seconds, "dev": dev})
    return found


def primary_examples(progress: Progress, rows: Callable[[int], int]) -> int:
    """Return how many end-task rows a finished run trained on; arguments as in `evaluations`."""
    return rows(progress.primary_steps(progress.step))
