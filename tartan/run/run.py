"""One run: build, train, read the test split once, leave the files."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from tartan.body import LiftedHead, export
from tartan.config.parse import parse, resolved
from tartan.config.schema import Config
from tartan.plugins import Plugins
from tartan.report.console import RunConsole, outcome
from tartan.report.pages import spared
from tartan.report.record import (
    METRICS,
    ORIGIN,
    PREDICTIONS,
    REPORT,
    SUMMARY,
    MetricsFile,
    read_json,
    reading,
    write_config,
    write_json,
    write_lines,
)
from tartan.report.run_page import write_run_report
from tartan.report.tracker import check_tracker, start_tracker
from tartan.run.blame import blamed
from tartan.run.build import Experiment, build
from tartan.run.lock import locked
from tartan.run.resume import (
    Origin,
    changed_keys,
    compare,
    note_changes,
    run_directory,
)
from tartan.run.summary import summarise
from tartan.train.checkpoint import Checkpoints
from tartan.train.evaluate import evaluate, evaluate_rows
from tartan.train.interrupt import Interrupts
from tartan.train.predictions import predictions, without_texts
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
    check_tracker(config.tracker)
    directory = run_directory(config, directory)
    with Interrupts() as interrupts, blamed(plugins), locked(directory) as unlocked:
        for line in unlocked:
            print(line)
        changed = changed_keys(config, resolved(composed), directory)
        summary = read_json(directory / SUMMARY)
        if summary is not None:
            with reading(directory / SUMMARY):
                outcome(summary, directory)
        else:
            experiment = build(config, plugins)
            files = {"config.yaml": composed, **hydra}
            progress = _train(config, experiment, changed, files, directory, interrupts)
            summary = _finish(config, experiment, progress, directory)
            write_json(directory / SUMMARY, summary)
        if config.report and not (directory / REPORT).exists():
            with spared(REPORT):
                write_run_report(directory, config.report_examples)
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
    reached = trainer.resume(checkpoint) if checkpoint else Progress()
    step = reached.step
    if config.tracker:
        console.tracker = start_tracker(
            config.tracker, directory, reached.records, asdict(config), console.notice
        )
    checkpoints.rewind(checkpoint, damaged)
    note_changes(changed + moved, step, directory)
    write_json(directory / ORIGIN, asdict(origin))
    write_config(directory, files)
    notices += _going_on(step, damaged, changed + moved)
    try:
        for notice in (*notices, *experiment.notices):
            console.notice(notice)
        return trainer.train()
    finally:
        console.close()


def _going_on(step: int, damaged: Mapping[Path, str], changed: Sequence[str]) -> list[str]:
    """What the user should know of a run that goes on, a line each."""
    lines = [
        f"{path.name}: {wrong}; it is now {path.name}.damaged, and the run goes on from step {step}"
        for path, wrong in damaged.items()
    ]
    if changed:
        lines.append(f"the run goes on from step {step} with other values of {', '.join(changed)}")
    return lines


def _finish(
    config: Config, experiment: Experiment, progress: Progress, directory: Path
) -> dict[str, Any]:
    """Read test once, export the model, keep what it predicts of dev, and sum the run up."""
    setup, task, texts = experiment.setup, experiment.task, experiment.texts
    model, rows = setup.model, config.eval.batch_size
    dev, outputs = evaluate_rows(model, setup.dev, rows, setup.runtime)
    test = evaluate(model, texts.split("test"), rows, setup.runtime)
    head = model.end_task.head
    assert isinstance(head, LiftedHead)  # `build` has seen to it
    export(model.body, head, texts.source.tokenizer, directory / "model")
    predicted = predictions(task.dev, setup.dev, outputs, task.kind, task.labels)
    if not config.report_examples:
        predicted = [without_texts(line) for line in predicted]
    write_lines(directory / PREDICTIONS, predicted)
    return summarise(config, experiment, progress, {"dev": dev, "test": test}, directory)
