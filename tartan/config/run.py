"""One run: build, train, read the test split once, leave the files."""

import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from tartan.body import LiftedHead, export
from tartan.config.build import Experiment, build
from tartan.config.parse import parse, resolved
from tartan.config.schema import Config
from tartan.data import Task
from tartan.errors import CheckpointError, ConfigError
from tartan.plugins import Plugins
from tartan.report.console import RunConsole, outcome
from tartan.report.figures import draw
from tartan.report.record import (
    CONFIG,
    DATA,
    METRICS,
    SUMMARY,
    MetricsFile,
    read_json,
    read_metrics,
    write_config,
    write_json,
)
from tartan.train.checkpoint import Checkpoints, Progress
from tartan.train.evaluate import evaluate
from tartan.train.trainer import Trainer

PLACE = ("run_dir", "resume", "cache")
"""Keys that say where a run and its files are, not what it is; a resumed run may differ in them."""


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
        TartanError: the configuration, data, model or directory cannot be used.
    """
    config = parse(composed)
    directory = _directory(config, directory)
    checkpoints = Checkpoints(directory / "checkpoints", config.checkpoint.keep)
    _check_resume(config, resolved(composed), directory)
    summary = read_json(directory / SUMMARY)
    if summary is None:
        experiment = build(config, plugins)
        _check_data(experiment, directory)
        write_config(directory, {"config.yaml": composed, **hydra})
        progress = _train(experiment, checkpoints, directory)
        summary = _finish(config, experiment, progress, directory)
        draw(read_metrics(directory / METRICS), directory / "figures")
        write_json(directory / SUMMARY, summary)
    print(outcome(summary, directory))
    return summary


def _train(experiment: Experiment, checkpoints: Checkpoints, directory: Path) -> Progress:
    """Train through the schedule; metrics.jsonl goes on after the newest checkpoint."""
    with MetricsFile(directory / METRICS, checkpoints.newest_step()) as metrics:
        console = RunConsole(metrics)
        for notice in experiment.notices:
            console.notice(notice)
        try:
            return Trainer(
                experiment.setup, experiment.stages, experiment.milestones, checkpoints, console
            ).train()
        finally:
            console.close()


def _directory(config: Config, directory: Path) -> Path:
    """Where the run is: a directory named by `resume`, or its own."""
    if config.resume in ("auto", "never"):
        return directory
    if not Path(config.resume, CONFIG).is_file():
        raise ConfigError(
            f"resume={config.resume}: no run is there; give a run's directory, auto or never"
        )
    return Path(config.resume)


def _check_resume(config: Config, values: Mapping[str, Any], directory: Path) -> None:
    """CheckpointError if the directory has a run that this one is not, or must not go on with."""
    if not (directory / CONFIG).is_file():
        return
    if config.resume == "never":
        raise CheckpointError(
            f"{directory} already has a run: choose another run_dir, or resume=auto to go on"
        )
    try:
        before = resolved(DictConfig(OmegaConf.load(directory / CONFIG)))
    except (OSError, ValueError, YAMLError) as error:
        raise CheckpointError(
            f"{directory / CONFIG} cannot be read: choose another run_dir"
        ) from error
    differing = sorted(set(_differing(before, values)) - set(PLACE))
    if differing:
        raise CheckpointError(
            f"{directory} has a run of another configuration ({', '.join(differing)} differ): "
            "give the same one to go on with it, or choose another run_dir"
        )


def _check_data(experiment: Experiment, directory: Path) -> None:
    """CheckpointError if the data changed since the run began; else note what it is."""
    auxiliary = experiment.auxiliary.items()
    hashes = {f"objectives.{name}": texts.task.hashes["train"] for name, texts in auxiliary}
    hashes |= experiment.task.hashes
    before = read_json(directory / DATA) or hashes
    changed = sorted(name for name in {*before, *hashes} if before.get(name) != hashes.get(name))
    if changed:
        raise CheckpointError(
            f"the data of {directory} changed since the run began ({', '.join(changed)}): "
            "put it back to go on, or choose another run_dir"
        )
    write_json(directory / DATA, hashes)


def _differing(one: Any, other: Any, key: str = "") -> list[str]:
    """The dotted keys at which two configurations differ."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return [] if one == other else [key]
    names = {*one, *other}
    return [
        found
        for name in names
        for found in _differing(one.get(name), other.get(name), f"{key}.{name}" if key else name)
    ]


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
    data = _data(task) | {
        f"objectives.{name}": _data(texts.task)["train"]
        for name, texts in experiment.auxiliary.items()
    }
    return {
        "seed": config.seed,
        "primary": model.primary,
        "objectives": [name for name in model.names if name != model.primary],
        "weighting": config.weighting["plugin"],
        "dev": dev,
        "test": test,
        "best_step": progress.best_step,
        "steps": progress.step,
        "seconds": progress.seconds,
        "seconds_per_step": progress.step_seconds / max(progress.step, 1),
        "peak_memory_bytes": setup.runtime.peak_memory(),
        "weights": progress.weights,
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
