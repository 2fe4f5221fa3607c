"""One run: build, train, evaluate on test once, write the results."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from tartan.body import LiftedHead, export, export_adapter
from tartan.config.parse import parse, resolved
from tartan.config.schema import Config
from tartan.errors import CheckpointError
from tartan.experiment.blame import blamed
from tartan.experiment.build import Experiment, build
from tartan.experiment.identity import Identity, identify
from tartan.experiment.lock import locked
from tartan.experiment.resume import (
    Change,
    check_configuration,
    compare,
    finished_run,
    has_run,
    run_directory,
    unfinished_run,
)
from tartan.experiment.summary import division_record, read_summary, summarise
from tartan.plugins import Plugins
from tartan.report.console import RunConsole, outcome
from tartan.report.pages import spared
from tartan.report.record import (
    METRICS,
    MODEL,
    ORIGIN,
    PREDICTIONS,
    REPORT,
    SPLITS,
    SUMMARY,
    MetricsFile,
    make_checkpoints,
    write_config,
    write_json,
    write_lines,
)
from tartan.report.run_page import write_run_report
from tartan.report.tracker import check_tracker, start_tracker
from tartan.train.checkpoint import Checkpoints
from tartan.train.evaluate import evaluate, evaluate_rows
from tartan.train.interrupt import Interrupts
from tartan.train.predictions import predictions, without_texts
from tartan.train.progress import Progress
from tartan.train.trainer import Trainer

Files = Mapping[str, DictConfig | list[str]]
"""Files of .hydra/, by name."""


@dataclass(frozen=True)
class Plan:
    """A run that was parsed: what to build, and where.

    Attributes:
        config: its configuration.
        values: the same as plain values, interpolations resolved.
        files: what .hydra/ holds.
        directory: where it writes its files.
        plugins: the installed plugins.
    """

    config: Config
    values: Mapping[str, Any]
    files: Files
    directory: Path
    plugins: Plugins


def run(composed: DictConfig, directory: Path, hydra: Files, plugins: Plugins) -> dict[str, Any]:
    """Run a configuration, or resume it.

    Args:
        composed: as Hydra composed it.
        directory: where the run writes its files.
        hydra: further files for .hydra/, by name.
        plugins: the installed plugins.

    Returns:
        The content of summary.json.

    Raises:
        TartanError: the configuration, data, model or directory cannot be used, or the run failed.
        Interrupted: a signal came.
    """
    config = parse(composed)
    check_tracker(config.tracker)
    directory = run_directory(config, directory)
    files = {"config.yaml": composed, **hydra}
    plan = Plan(config, resolved(composed), files, directory, plugins)
    with Interrupts() as interrupts, blamed(plugins), locked(directory) as unlocked:
        for line in unlocked:
            print(line)
        if config.resume == "never" and has_run(directory):
            raise CheckpointError(
                f"{directory} already has a run. Choose another run_dir, or set resume=auto to "
                "resume it"
            )
        summary = read_summary(directory)
        if summary is None:
            summary = _complete(plan, interrupts)
        else:
            _check_finished(plan, summary)
        if config.report and not (directory / REPORT).exists():
            with spared(REPORT):
                write_run_report(directory, config.report_examples)
    print(outcome(summary, directory))
    return summary


def _check_finished(plan: Plan, summary: Mapping[str, Any]) -> None:
    """Make sure that a finished run is still that of its configuration, data, model and plugins.

    Raises:
        CheckpointError: it is not.
    """
    saved = finished_run(plan.directory, summary)
    check_configuration(saved, plan.values, plan.config, plan.directory)
    # Nothing is computed, so it may have run on a device that is not available here.
    config = replace(plan.config, device="cpu", precision="fp32")
    experiment = build(config, plan.plugins)
    identity = identify(config, plan.values, experiment, plan.plugins)
    for notice in compare(saved, identity, config, plan.directory).notices:
        print(notice)
    if saved.notices:
        write_config(plan.directory, plan.files)
    if not (plan.directory / MODEL).exists():
        print(
            f"{plan.directory / MODEL} was removed: to export it again, remove {SUMMARY} and give "
            "the same command"
        )


def _complete(plan: Plan, interrupts: Interrupts) -> dict[str, Any]:
    """Train through the schedule, from the newest usable checkpoint if there is one, and sum up.

    What can be refused is refused first; only then is anything written.
    """
    config, directory = plan.config, plan.directory
    checkpoints = Checkpoints(directory / "checkpoints", config.checkpoint.keep)
    checkpoint, damaged = checkpoints.newest()
    saved = unfinished_run(directory, checkpoint, config)
    if saved:
        check_configuration(saved, plan.values, config, directory)
    experiment = build(config, plan.plugins)
    run_id = saved.identity.run if saved and saved.identity else None
    identity = identify(config, plan.values, experiment, plan.plugins, run_id)
    comparison = compare(saved, identity, config, directory)
    console = RunConsole(MetricsFile(directory / METRICS))
    trainer = Trainer(
        experiment.setup, experiment.stages, experiment.milestones, checkpoints, console, interrupts
    )
    reached = trainer.resume(checkpoint) if checkpoint else Progress()
    if config.tracker:
        console.tracker = start_tracker(
            config.tracker, directory, reached.history.records, asdict(config), console.notice
        )
    make_checkpoints(directory)
    checkpoints.rewind(checkpoint, damaged)
    changes = comparison.added(saved.changes if saved else (), reached.step)
    checkpoints.identity = {"identity": identity.plain(), "changes": changes}
    write_json(directory / ORIGIN, {"run": identity.run})
    write_config(directory, plan.files)
    if experiment.task.division is not None:
        write_json(directory / SPLITS, division_record(experiment.task.division))
    notices = (*comparison.notices, *_resuming(reached.step, damaged, comparison.changed))
    try:
        for notice in (*notices, *experiment.notices):
            console.notice(notice)
        progress = trainer.train()
    finally:
        console.close()
    summary = _finish(config, experiment, progress, identity, changes, directory)
    write_json(directory / SUMMARY, summary)
    return summary


def _resuming(step: int, damaged: Mapping[Path, str], changed: Sequence[str]) -> list[str]:
    """Return what the user should know of a run that resumes, a line each."""
    lines = [
        f"{path.name}: {wrong}. It is now {path.name}.damaged, and the run resumes from step {step}"
        for path, wrong in damaged.items()
    ]
    if changed:
        lines.append(f"the run resumes from step {step} with changes: {', '.join(changed)}")
    return lines


def _finish(
    config: Config,
    experiment: Experiment,
    progress: Progress,
    identity: Identity,
    changes: Sequence[Change],
    directory: Path,
) -> dict[str, Any]:
    """Evaluate on test once, export the model, write its predictions on dev, and sum the run up."""
    setup, task, texts = experiment.setup, experiment.task, experiment.texts
    model, rows = setup.model, config.eval.batch_size
    dev, outputs = evaluate_rows(model, setup.dev, rows, setup.runtime)
    test = evaluate(model, texts.split("test"), rows, setup.runtime)
    head = model.end_task.head
    assert isinstance(head, LiftedHead)  # `build` refuses others
    source = texts.source
    if source.lora.r and source.lora.export == "adapter":
        export_adapter(model.body, head, source, directory / MODEL)
    else:
        export(model.body, head, source.tokenizer, directory / MODEL)
    predicted = predictions(task.dev, setup.dev, outputs, task.kind, task.labels)
    if not config.report_examples:
        predicted = [without_texts(line) for line in predicted]
    write_lines(directory / PREDICTIONS, predicted)
    scores = {"dev": dev, "test": test}
    return summarise(config, experiment, progress, scores, identity, changes)
