"""summary.json: what a run came to, on what, with what."""

import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tartan.config.schema import Config
from tartan.data import Task
from tartan.run.build import Experiment
from tartan.run.resume import changes_of
from tartan.train.curve import evaluations, primary_examples
from tartan.train.progress import Progress


def summarise(
    config: Config,
    experiment: Experiment,
    progress: Progress,
    scores: Mapping[str, Mapping[str, float]],
    directory: Path,
) -> dict[str, Any]:
    """What summary.json holds.

    Args:
        config: the run's.
        experiment: what was trained.
        progress: how far, and how long it took.
        scores: the end task's metrics on `dev` and `test`.
        directory: the run's.
    """
    setup, task = experiment.setup, experiment.task
    model = setup.model
    data = _data(task) | {
        f"objectives.{name}": _data(texts.task)["train"]
        for name, texts in experiment.auxiliary.items()
    }
    spent = progress, experiment.stages, config.primary["batch_size"] * config.accumulate
    return {
        "seed": config.seed,
        "primary": model.primary,
        "objectives": [name for name in model.names if name != model.primary],
        "weighting": config.weighting["plugin"],
        "task": {"name": task.name, "kind": task.kind.value, "labels": list(task.labels)},
        "model": config.model.get("name") or config.model["kind"],
        "stages": {name: stage.objectives for name, stage in experiment.stages.items()},
        "metric": experiment.milestones.metric,
        "probe_split": experiment.probe_split,
        **scores,
        "best_step": progress.best_step,
        "steps": progress.step,
        "primary_examples": primary_examples(*spent),
        "seconds": progress.seconds,
        "seconds_per_step": progress.step_seconds / max(progress.step, 1),
        "peak_memory_bytes": setup.runtime.peak_memory(),
        "weights": progress.weights,
        "skipped_steps": progress.skipped,
        "changes": changes_of(directory),
        "evaluations": evaluations(*spent),
        "device": str(setup.runtime.device),
        "precision": setup.runtime.precision,
        "versions": _versions(),
        "data": data,
    }


def _data(task: Task) -> dict[str, dict[str, Any]]:
    """The size and hash of each split and corpus of a task."""
    splits = {"train": task.train, "dev": task.dev, "test": task.test, **task.corpora}
    return {
        name: {"rows": len(splits[name]), "sha256": sha256} for name, sha256 in task.hashes.items()
    }


def _versions() -> dict[str, str]:
    """The versions that a result depends on."""
    packages = ("tartan", "transformers", "datasets")
    found = {name: importlib.metadata.version(name) for name in packages}
    return found | {"torch": torch.__version__, "python": platform.python_version()}
