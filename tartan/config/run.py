"""One run: build, train, read the test split once, leave the files."""

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from tartan.body import LiftedHead, export
from tartan.config.blame import blamed
from tartan.config.build import Experiment, build
from tartan.config.lock import locked
from tartan.config.parse import parse, resolved
from tartan.config.resume import (
    Origin,
    changed_keys,
    changes_of,
    compare,
    note_changes,
    run_directory,
)
from tartan.config.schema import Config
from tartan.data import Task
from tartan.files import writing
from tartan.plugins import Plugins
from tartan.report.console import RunConsole, outcome
from tartan.report.figures import draw
from tartan.report.record import (
    METRICS,
    ORIGIN,
    SUMMARY,
    MetricsFile,
    read_json,
    write_config,
    write_json,
)
from tartan.train.checkpoint import Checkpoints
from tartan.train.curve import evaluations, primary_examples
from tartan.train.evaluate import evaluate
from tartan.train.interrupt import Interrupts
from tartan.train.progress import Progress
from tartan.train.trainer import Trainer


def run(
    composed: DictConfig,
    directory: Path,
    hydra: Mapping[str, DictConfig | list[str]],
    plugins: Plugins,
) -> dict[str, Any]:
    """Run a configuration, or go on with it.

    Args:
        composed: as Hydra composed it.
        directory: what the run leaves its files in.
        hydra: further files for .hydra/, by name.
        plugins: the installed plugins.

    Returns:
        What summary.json holds.

    Raises:
        TartanError: the configuration, data, model or directory cannot be used, or the run failed.
        Interrupted: a signal came.
    """
    config = parse(composed)
    directory = run_directory(config, directory)
    with Interrupts() as interrupts, blamed(plugins), locked(directory):
        changed = changed_keys(config, resolved(composed), directory)
        summary = read_json(directory / SUMMARY)
        if summary is None:
            experiment = build(config, plugins)
            files = {"config.yaml": composed, **hydra}
            progress = _train(config, experiment, changed, files, directory, interrupts)
            summary = _finish(config, experiment, progress, directory)
            write_json(directory / SUMMARY, summary)
    print(outcome(summary, directory))
    return summary


def _train(
    config: Config,
    experiment: Experiment,
    changed: list[str],
    files: Mapping[str, DictConfig | list[str]],
    directory: Path,
    interrupts: Interrupts,
) -> Progress:
    """Train through the schedule, from the newest good checkpoint if there is one.

    What can be refused is refused first; only then is anything written.
    """
    origin = Origin.of(experiment)
    moved, notices = compare(origin, config, directory)
    checkpoints = Checkpoints(directory / "checkpoints", config.checkpoint.keep)
    console = RunConsole(MetricsFile(directory / METRICS))
    trainer = Trainer(
        experiment.setup, experiment.stages, experiment.milestones, checkpoints, console, interrupts
    )
    checkpoint, damaged = checkpoints.newest()
    step = trainer.resume(checkpoint).step if checkpoint else 0
    checkpoints.rewind(checkpoint, damaged)
    note_changes(changed + moved, step, directory)
    write_json(directory / ORIGIN, asdict(origin))
    write_config(directory, files)
    notices += [
        f"{path.name}: {wrong}; it is now {path.name}.damaged, and the run goes on from step {step}"
        for path, wrong in damaged.items()
    ]
    if keys := changed + moved:
        notices.append(f"the run goes on from step {step} with other values of {', '.join(keys)}")
    try:
        for notice in (*notices, *experiment.notices):
            console.notice(notice)
        return trainer.train()
    finally:
        console.close()


def _finish(
    config: Config, experiment: Experiment, progress: Progress, directory: Path
) -> dict[str, Any]:
    """Read test once, export the model, and sum the run up."""
    setup, task = experiment.setup, experiment.task
    model, rows = setup.model, config.eval.batch_size
    dev = evaluate(model, setup.dev, rows, setup.runtime)
    test = evaluate(model, experiment.texts.split("test"), rows, setup.runtime)
    head = model.end_task.head
    assert isinstance(head, LiftedHead)  # `build` has seen to it
    export(model.body, head, experiment.texts.source.tokenizer, directory / "model")
    with writing(directory / "figures"):
        draw(progress.records, directory / "figures")
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
        "dev": dev,
        "test": test,
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
