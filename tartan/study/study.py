"""Run one study: check every arm, run what is not finished, write the tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import OmegaConf

from tartan.config.composer import composing
from tartan.distributed.place import find_place
from tartan.errors import ConfigError, TartanError
from tartan.experiment.lock import locked
from tartan.report.pages import spared
from tartan.report.record import write_json
from tartan.report.terminal import show
from tartan.study import tables
from tartan.study.collect import collect, compared
from tartan.study.command_line import Typed
from tartan.study.environments import processes_of
from tartan.study.forecast import (
    difference_line,
    enough_seeds,
    finished_differences,
    seeds_line,
    time_line,
)
from tartan.study.job import Arm, Job
from tartan.study.launch import check_launcher, launch
from tartan.study.options import StudyOptions
from tartan.study.page import PAGE, write_study_report, write_tables
from tartan.study.plan import arms, check_weighting, jobs, read_options, with_common
from tartan.study.process import WorkError, apart
from tartan.study.results import FILE, StudyResults
from tartan.study.worker import BuiltArm, try_arms


def study(typed: Typed) -> StudyResults:
    """Run a study or resume it, and return its results; runs that did not fail are finished.

    Raises:
        TartanError: it is refused; nothing has been written.
        Interrupted: a signal came; what was finished by then is in the tables.
    """
    options = read_options(typed)
    options = replace(options, processes=processes_of(options.processes, find_place()))
    typed = with_common(typed, options)
    anywhere = check_launcher(typed)
    chosen, built, absent = _tried(options, typed, anywhere)
    directory = _directory(options)
    options, more = _with_seeds(options, len(chosen))
    planned = jobs(chosen, options.seeds, directory, typed.searchpath)
    with composing():
        for job in planned:
            job.check(built[job.arm.name].contents or {}, options.seeds[0])
    with locked(directory, "study.dir") as notices:
        for line in (*notices, *absent, *more):
            print(line)
        failed: dict[str, str] = {}
        try:
            failed = _launched(planned, options, typed, directory, anywhere)
        finally:
            failed = {job.place: why for job in planned if (why := job.failure)} | failed
            results = collect(options, chosen, built, planned, failed, typed.runs)
            results = replace(results, notes=(*results.notes, *absent))
            _write(results, directory)
    _show(results, directory, options.dir)
    return results


def _tried(
    options: StudyOptions, typed: Typed, anywhere: bool
) -> tuple[list[Arm], Mapping[str, BuiltArm], list[str]]:
    """Return the arms that the data allows, the results of building them, and notes on others."""
    chosen = arms(options, typed)
    first = options.seeds[0] if options.seeds else 0
    with composing():
        texts = {
            arm.name: OmegaConf.to_yaml(Job(arm, first, Path("study"), typed.searchpath).compose())
            for arm in chosen
        }
    try:
        built: Mapping[str, BuiltArm] = apart(try_arms, texts, anywhere, options.processes)
    except WorkError as error:
        raise TartanError(str(error)) from error
    absent = {name: arm.missing for name, arm in built.items() if arm.missing}
    for name, missing in absent.items():
        if options.arms is not None or name == options.against:
            raise ConfigError(f"arm {name}: {missing}")
    kept = [arm for arm in chosen if arm.name not in absent]
    if not kept:
        raise ConfigError(f"no arm is left: {'; '.join(map(str, absent.values()))}")
    weighing = [arm.name for arm in kept if any(s.weighting for s in built[arm.name].stages)]
    check_weighting([text for text in typed.runs if text not in options.common], kept, weighing)
    metrics = {arm.name: built[arm.name].metric for arm in kept}
    if len(set(metrics.values())) > 1:
        raise ConfigError(
            "arms choose their best model by different metrics "
            f"({', '.join(f'{name}: {metric}' for name, metric in metrics.items())}): give all the "
            "same eval.metric"
        )
    lines = [f"Arm {name} is left out: {missing}." for name, missing in absent.items()]
    return kept, {arm.name: built[arm.name] for arm in kept}, lines


def _with_seeds(options: StudyOptions, arms: int) -> tuple[StudyOptions, list[str]]:
    """Return a study's options with its seeds, and a line on them where they were not given.

    Args:
        options: the study's.
        arms: how many there are.

    Raises:
        ConfigError: no number of seeds is enough for the level.
    """
    comparisons, against = _comparisons(options, arms)
    seeds = enough_seeds(comparisons, options.level)
    if options.seeds is not None:
        return options, []
    line = seeds_line(seeds, comparisons, against)
    return replace(options, seeds=list(range(seeds))), [line] if line else []


def _comparisons(options: StudyOptions, arms: int) -> tuple[int, int | None]:
    """Return how many pairs of arms are compared, and with study.against unless that is set."""
    return (math.comb(arms, 2), arms - 1) if options.against is None else (arms - 1, None)


def _launched(
    planned: Sequence[Job], options: StudyOptions, typed: Typed, directory: Path, anywhere: bool
) -> dict[str, str]:
    """Run what is not finished, and return why runs failed, by place."""
    todo = [job for job in planned if not job.finished]
    done = len(planned) - len(todo)
    print(f"{len(planned)} runs in {directory}: {done} finished, {len(todo)} to do", flush=True)
    if not todo:
        return {}
    for line in _forecast(planned, options, anywhere):
        print(line, flush=True)
    return launch(todo, typed, directory, options.processes)


def _forecast(planned: Sequence[Job], options: StudyOptions, anywhere: bool) -> list[str]:
    """Return how long the study takes, unless on other machines, and what it can show."""
    names = list(dict.fromkeys(job.arm.name for job in planned))
    pairs = compared(names, options.against)
    lines = [
        None if anywhere or options.processes > 1 else time_line(planned),
        difference_line(
            len(options.seeds),
            len(pairs),
            options.level,
            finished_differences(planned, pairs),
            _comparisons(options, len(names))[1],
        ),
    ]
    return [line for line in lines if line]


def _directory(options: StudyOptions) -> Path:
    """Return the study's directory, absolute. ConfigError if it is a file."""
    directory = Path(options.dir).absolute()
    for path in (directory, *directory.parents):
        if path.exists() and not path.is_dir():
            raise ConfigError(f"study.dir={options.dir}: {path} is a file; give a directory")
    return directory


def _write(results: StudyResults, directory: Path) -> None:
    """Write study.json, the CSV files, and the page."""
    write_json(directory / FILE, results.plain())
    write_tables(results, directory)
    with spared(PAGE):
        write_study_report(results, directory)


def _show(results: StudyResults, directory: Path, place: str) -> None:
    """Print the tables and notes, and what was written into the directory; `place` as typed."""
    shown = (tables.arm_table, tables.pair_table, tables.weight_table)
    show(*(found.rich() for table in shown if (found := table(results)).rows))
    files = (PAGE, "study.md", FILE, "study.csv", "pairs.csv", "runs.csv", "figures/")
    written = [name for name in files if (directory / name).exists()]
    last = f"in {place}: {', '.join(written)}, <arm>/seed<k>/"
    print(*results.conclusions, *results.notes, last, sep="\n")
