"""summary.json: the results of a run, and what it depends on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tartan.config.schema import Config
from tartan.data import Task
from tartan.data.divide import Division
from tartan.errors import CheckpointError
from tartan.experiment.build import Experiment
from tartan.experiment.identity import Identity
from tartan.report.record import SUMMARY, read_json
from tartan.train.model import JointModel
from tartan.train.progress import Progress

TYPES: Mapping[str, type | tuple[type, ...]] = {
    "primary": str, "objectives": list, "weighting": str, "task": dict, "stages": dict,
    "metric": str, "dev": dict, "test": dict, "weights": dict, "best_step": int, "steps": int,
    "primary_examples": int, "seconds": (int, float), "seconds_per_step": (int, float),
    "peak_memory_bytes": int, "skipped_steps": int, "changes": list, "evaluations": list,
    "device": str, "precision": str, "versions": dict, "data": dict,
}  # fmt: skip
"""What readers of a summary rely on."""
VERSIONS = ("tartan", "transformers", "datasets", "torch", "python")
"""The versions that a summary shows."""


def summarise(
    config: Config,
    experiment: Experiment,
    progress: Progress,
    scores: Mapping[str, Mapping[str, float]],
    identity: Identity,
    changes: Sequence[Mapping[str, Any]],
    peak: int,
) -> dict[str, Any]:
    """Return the content of summary.json.

    Args:
        config: the run's.
        experiment: what was trained.
        progress: how far, and how long it took.
        scores: the end task's metrics on `dev` and `test`.
        identity: what the run depends on.
        changes: what changed where it resumed.
        peak: the most memory that one of its processes used, in bytes.
    """
    setup, task = experiment.setup, experiment.task
    model = setup.model
    auxiliary = {
        f"objectives.{name}": _data(texts.task)["train"]
        for name, texts in experiment.auxiliary.items()
    }
    return {
        "seed": config.seed,
        "primary": model.primary,
        "objectives": [name for name in model.names if name != model.primary],
        "weighting": config.weighting["plugin"],
        "task": _task_record(task, model),
        "model": config.model.get("name") or config.model["kind"],
        "stages": {name: stage.selection for name, stage in experiment.stages.items()},
        "metric": experiment.milestones.metric,
        "probe_split": ", ".join(experiment.probe_splits) or None,
        **scores,
        "best_step": progress.step if progress.best is None else progress.best_step,
        "steps": progress.step,
        "primary_examples": setup.primary_rows(progress.primary_steps(progress.step)),
        "seconds": progress.seconds,
        "seconds_per_step": progress.step_seconds / max(progress.step, 1),
        "peak_memory_bytes": peak,
        "weights": progress.weights,
        "collapsed": progress.collapsed,
        "skipped_steps": progress.skipped,
        "changes": list(changes),
        "evaluations": _evaluations(progress, setup.primary_rows),
        "device": str(setup.runtime.device),
        "precision": setup.runtime.precision,
        "versions": {name: identity.parts["environment"][name] for name in VERSIONS},
        "data": _data(task) | auxiliary,
        "identity": identity.plain(),
    }


def read_summary(directory: Path) -> dict[str, Any] | None:
    """Return the summary of a finished run; None where there is none.

    Raises:
        CheckpointError: the file is not a summary.
    """
    path = directory / SUMMARY
    summary = read_json(path)
    if summary is None:
        return None
    wrong = [name for name, kind in TYPES.items() if not isinstance(summary.get(name), kind)]
    for name in ("dev", "test", "weights"):
        if name not in wrong and not all(_is_number(value) for value in summary[name].values()):
            wrong.append(name)
    if wrong:
        raise CheckpointError(
            f"{path} has no valid '{wrong[0]}'. Restore the file, or remove it to have it written "
            "again from the run's checkpoints"
        )
    return summary


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _evaluations(progress: Progress, rows: Callable[[int], int]) -> list[dict[str, Any]]:
    """Return every evaluation on dev, in order: the run's learning curve.

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


def _task_record(task: Task, model: JointModel) -> dict[str, Any]:
    """Return what the end task is, and how it is scored."""
    return {
        "name": task.name,
        "kind": task.kind.value,
        "labels": list(task.labels),
        "pairs": task.pairs,
        "separator": task.separator,
        "columns": dict(task.columns),
        "scoring": model.end_task.scoring_options(),
    }


def _data(task: Task) -> dict[str, dict[str, Any]]:
    """Return the size and hash of each split and corpus of a task, and which labels are used.

    The size of a streamed corpus is None.
    """
    sizes = task.sizes
    found: dict[str, dict[str, Any]] = {
        name: {"rows": sizes.get(name), "sha256": sha256} for name, sha256 in task.hashes.items()
    }
    if task.subset is not None:
        found["train"]["labelled"] = asdict(task.subset)
    return found


def division_record(division: Division) -> dict[str, Any]:
    """Return the content of splits.json: the rows of the splits that were made of a file.

    Rows are counted from 0 in the order of the files.
    """
    rows = {split: list(numbers) for split, numbers in division.rows.items()}
    return {"file": division.file, "seed": division.seed, "rows": rows}
