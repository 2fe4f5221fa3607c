"""A run's learning curve: the end-task rows and seconds spent before each evaluation on dev."""

from collections.abc import Callable, Mapping
from typing import Any

from tartan.train.progress import Progress
from tartan.train.schedule import StageOptions, steps_without_primary


def evaluations(
    progress: Progress, stages: Mapping[str, StageOptions], rows: Callable[[int], int]
) -> list[dict[str, Any]]:
    """Return every evaluation of a run on dev, in order.

    Args:
        progress: how far the run is.
        stages: its schedule.
        rows: how many of the end task the first steps that train it have read, repetitions counted.

    Returns:
        For each: `step`; `primary_examples`, rows of the end task trained on until then,
        repetitions counted; `seconds` spent on steps until then; and `dev`, metrics by name.
    """
    names = list(stages)
    found = []
    for record, seconds in progress.history:
        dev = {k.removeprefix("eval/"): v for k, v in record.items() if k.startswith("eval/")}
        if dev:
            before = list(stages.values())[: names.index(str(record["stage"]))]
            step = int(record["step"])
            seen = rows(step - steps_without_primary(before))
            found.append({"step": step, "primary_examples": seen, "seconds": seconds, "dev": dev})
    return found


def primary_examples(
    progress: Progress, stages: Mapping[str, StageOptions], rows: Callable[[int], int]
) -> int:
    """Return how many end-task rows a finished run trained on; arguments as in `evaluations`."""
    return rows(progress.step - steps_without_primary(stages.values()))
