"""One run: build, train, evaluate on test once, write the results."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from tartan.config.hydra_files import Files
from tartan.config.parse import parse, resolved
from tartan.config.schema import Config
from tartan.distributed.join import joined
from tartan.distributed.ranks import Ranks
from tartan.errors import CheckpointError, ConfigError
from tartan.experiment.blame import blamed
from tartan.experiment.build import build, without_device
from tartan.experiment.finish import finish, write_page
from tartan.experiment.identity import Identity, describe, differing_parts, identify
from tartan.experiment.lock import locked
from tartan.experiment.model import check_precision
from tartan.experiment.overview import overview, remaining
from tartan.experiment.plan import Plan
from tartan.experiment.publish import check_publishing, publish
from tartan.experiment.resume import (
    Saved,
    check_configuration,
    check_trained,
    compare,
    finished_run,
    has_run,
    run_directory,
    unfinished_run,
)
from tartan.experiment.summary import division_record, read_summary
from tartan.plugins import Plugins
from tartan.report.console import RunConsole, outcome
from tartan.report.record import (
    METRICS,
    MODEL,
    ORIGIN,
    SPLITS,
    SUMMARY,
    MetricsFile,
    NoMetrics,
    make_checkpoints,
    write_config,
    write_json,
)
from tartan.report.tracker import check_tracker, start_tracker
from tartan.train.checkpoint import Checkpoints
from tartan.train.interrupt import Interrupts
from tartan.train.progress import Progress
from tartan.train.runtime import Runtime
from tartan.train.trainer import Trainer


def run(
    composed: DictConfig, directory: Path, hydra: Files, plugins: Plugins
) -> tuple[Path, dict[str, Any]]:
    """Run a configuration, or resume it.

    Args:
        composed: as Hydra composed it.
        directory: where the run writes its files.
        hydra: further files for .hydra/, by name.
        plugins: the installed plugins.

    Returns:
        The run's directory, which is another one with `resume=<dir>`, and may be another one in
        ranks other than 0; the content of summary.json.

    Raises:
        TartanError: the configuration, data, model or directory cannot be used, or the run failed.
        Interrupted: a signal came.
    """
    with (
        joined(str(composed.get("device"))) as ranks,
        Interrupts(prints=ranks.first) as interrupts,
        ExitStack() as held,
    ):
        composed = _of_first(composed, ranks)
        with ranks.agreed():
            config = parse(composed)
            check_tracker(config.tracker)
            check_publishing(config)
        directory = ranks.by_first(lambda: run_directory(config, directory))
        files = {"config.yaml": composed, **hydra}
        plan = Plan(config, resolved(composed), files, directory, plugins, ranks)
        held.enter_context(blamed(plugins))
        for line in ranks.by_first(lambda: held.enter_context(locked(directory))):
            print(line)
        summary = ranks.by_first(lambda: _finished(plan))
        if summary is None:
            summary = _train_and_finish(plan, interrupts)
        ranks.by_first(lambda: write_page(plan))
        published = ranks.by_first(lambda: publish(config, directory))
        print("\n".join([outcome(summary, directory), *published]))  # rank 0's output alone
    return directory, summary


def _of_first(composed: DictConfig, ranks: Ranks) -> DictConfig:
    """Return the configuration of rank 0: a sweeper may draw another one in each process."""
    mine = OmegaConf.to_yaml(composed)
    first = ranks.by_first(lambda: mine)
    if first == mine:
        return composed
    found = OmegaConf.create(first)
    assert isinstance(found, DictConfig)
    return found


def _finished(plan: Plan) -> dict[str, Any] | None:
    """Return the summary of a run that is complete, and still what it was; None if it is not."""
    directory = plan.directory
    if plan.config.resume == "never" and has_run(directory):
        raise CheckpointError(
            f"{directory} already has a run. Choose another run_dir, or set resume=auto to "
            "resume it"
        )
    summary = read_summary(directory)
    if summary is not None:
        _check_finished(plan, summary)
    return summary


def _check_finished(plan: Plan, summary: Mapping[str, Any]) -> None:
    """Make sure that a finished run is still that of its configuration, data, model and plugins.

    Raises:
        CheckpointError: it is not.
    """
    saved = finished_run(plan.directory, summary)
    check_configuration(saved, plan)
    config = plan.config
    experiment = build(without_device(config), plan.plugins)  # nothing is computed
    setup = replace(experiment.setup, runtime=_runtime_here(config), ranks=plan.ranks)
    identity = identify(config, plan.values, replace(experiment, setup=setup), plan.plugins)
    for notice in compare(saved, identity, plan).notices:
        print(notice)
    if saved.notices:
        write_config(plan.directory, plan.files)
    if not (plan.directory / MODEL).exists():
        print(
            f"{plan.directory / MODEL} was removed: to export it again, remove {SUMMARY} and give "
            "the same command"
        )


def _runtime_here(config: Config) -> Runtime:
    """Return what a run would compute with; on the CPU where its device is not available."""
    try:
        return Runtime.choose(config.device, config.precision)
    except ConfigError:
        return Runtime.choose("cpu", config.precision)


def _train_and_finish(plan: Plan, interrupts: Interrupts) -> dict[str, Any]:
    """Train through the schedule, from the newest usable checkpoint if there is one, and sum up.

    What can be refused is refused first; only then is anything written.
    """
    config, directory, ranks = plan.config, plan.directory, plan.ranks
    checkpoints = Checkpoints(directory / "checkpoints", config.checkpoint.keep, ranks)
    checkpoint, damaged, saved = ranks.by_first(lambda: _saved(plan, checkpoints))
    with ranks.agreed():
        experiment = build(config, plan.plugins, ranks)
        check_precision(experiment.texts.source, experiment.setup.runtime)
        identity = identify(config, plan.values, experiment, plan.plugins)
    identity = _common(identity, saved, ranks)
    comparison = ranks.by_first(lambda: compare(saved, identity, plan))
    console = RunConsole(MetricsFile(directory / METRICS) if ranks.first else NoMetrics())
    trainer = Trainer(
        experiment.setup, experiment.stages, experiment.milestones, checkpoints, console, interrupts
    )
    with ranks.agreed():
        rescored = comparison.rescored
        reached = trainer.resume(checkpoint, rescored=rescored) if checkpoint else Progress()
    changes = comparison.added(saved.changes if saved else (), reached.step)
    checkpoints.identity = {"identity": identity.plain(), "changes": changes}

    def begin() -> None:
        if config.tracker:
            records = reached.history.records
            console.tracker = start_tracker(
                config.tracker, directory, records, asdict(config), console.notice
            )
        make_checkpoints(directory)
        checkpoints.rewind(checkpoint, damaged)
        write_json(directory / ORIGIN, {"run": identity.run})
        write_config(directory, plan.files)
        if experiment.task.division is not None:
            write_json(directory / SPLITS, division_record(experiment.task.division))

    ranks.by_first(begin)
    notices = (*comparison.notices, *_resuming(reached.step, damaged, comparison.changed))
    try:
        console.plan(overview(config, experiment), remaining(experiment, reached))
        for notice in (*notices, *experiment.notices):
            console.notice(notice)
        progress = trainer.train()
    finally:
        console.close()
    return finish(plan, experiment, progress, identity, changes)


def _saved(
    plan: Plan, checkpoints: Checkpoints
) -> tuple[Path | None, dict[Path, str], Saved | None]:
    """Return the newest usable checkpoint, what is wrong with others, and what was saved."""
    checkpoint, damaged = checkpoints.newest()
    saved = unfinished_run(plan, checkpoint)
    if saved:
        if checkpoint and checkpoints.progress(checkpoint).finished:
            check_trained(saved, plan)
        check_configuration(saved, plan)
    return checkpoint, damaged, saved


def _common(identity: Identity, saved: Saved | None, ranks: Ranks) -> Identity:
    """Return the identity of rank 0, with the identifier of the run that is saved.

    Raises:
        CheckpointError: this process reads other data, or another model.
    """
    if saved and saved.identity:
        identity = replace(identity, run=saved.identity.run)
    first = ranks.by_first(lambda: identity)
    with ranks.agreed():
        if names := describe(differing_parts(first.parts, identity.parts)):
            raise CheckpointError(
                f"{', '.join(names)} differ from those of rank 0: give every machine the same"
            )
    return first


def _resuming(step: int, damaged: Mapping[Path, str], changed: Sequence[str]) -> list[str]:
    """Return what the user should know of a run that resumes, a line each."""
    lines = [
        f"{path.name}: {wrong}. It is now {path.name}.damaged, and the run resumes from step {step}"
        for path, wrong in damaged.items()
    ]
    if changed:
        lines.append(f"the run resumes from step {step} with changes: {', '.join(changed)}")
    return lines
