"""What a study prints before it starts: how long it takes, and which differences it can show."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean, median

from omegaconf import OmegaConf

from tartan.config.composer import composing
from tartan.experiment.summary import read_summary
from tartan.report.pace import estimated
from tartan.sizes import counted
from tartan.study import worker
from tartan.study.job import Job
from tartan.study.power import POWER, detectable
from tartan.study.process import WorkError, apart
from tartan.study.statistics import estimate, seeds_needed

FEWEST = 8
"""The seeds of a study by default, where they are enough."""
EXAMPLE = 0.02
"""A standard deviation of paired differences for an example, where none has been measured."""


def time_line(jobs: Sequence[Job]) -> str | None:
    """Return how long the runs that are not finished take; None where nothing can be said.

    An arm's finished runs say how long the others take. Of an arm without, the first steps are
    measured, in a process of its own.
    """
    todo = Counter(job.arm.name for job in jobs if not job.trained)
    known = _finished([job for job in jobs if job.arm.name in todo])
    try:
        measured = apart(worker.time_arms, _texts(jobs, set(todo) - set(known)))
    except WorkError as error:
        return f"How long the study takes could not be measured: {error}"
    seconds = known | measured
    if not seconds:
        return None
    total = sum(seconds[name] * count for name, count in todo.items() if name in seconds)
    each = ", ".join(f"{name} {estimated(seconds[name])}" for name in todo if name in seconds)
    unknown = [name for name in todo if name not in seconds]
    left_out = f" Not measured: {', '.join(unknown)}." if unknown else ""
    bound = "About" if known else "At most about"  # finished runs may have stopped early
    return (
        f"{bound} {estimated(total)}, one run at a time; a run takes {each}: measured "
        f"over the first steps{' or finished runs' if known else ''}.{left_out}"
    )


def enough_seeds(comparisons: int, level: float) -> int:
    """Return how many seeds a study has by default: FEWEST, or more if a difference needs them.

    Raises:
        ConfigError: no number of seeds is enough for so many comparisons.
    """
    return max(FEWEST, seeds_needed(level, comparisons))


def seeds_line(seeds: int, comparisons: int, against: int | None) -> str | None:
    """Return why a study has more seeds than FEWEST by default; None where it has not.

    Args:
        seeds: of each arm, as `enough_seeds` gives them.
        comparisons: pairs of arms that are corrected for.
        against: how many they would be with study.against; None where it is set.
    """
    if seeds <= FEWEST:
        return None
    fewer = ""
    if against is not None and against < comparisons:
        fewer = f"; study.against=ARM makes {counted(against, 'comparison')}"
    return (
        f"Seeds 0 to {seeds - 1}: fewer than {seeds} cannot show a difference in "
        f"{counted(comparisons, 'comparison')}. study.seeds=N sets another number{fewer}."
    )


def difference_line(
    seeds: int,
    comparisons: int,
    level: float,
    differences: Sequence[Sequence[float]],
    against: int | None,
) -> str | None:
    """Return the smallest difference that a study can show; None without a comparison.

    Args:
        seeds: of each arm.
        comparisons: pairs of arms that are corrected for.
        level: of corrected p.
        differences: for each pair, the differences between its finished runs, seed by seed.
        against: how many comparisons there would be with study.against; None where it is set.
    """
    if not comparisons:
        return None
    basis = f"{counted(seeds, 'seed')} and {counted(comparisons, 'comparison')}"
    smallest = detectable(seeds, level, comparisons)
    if smallest is None:
        needed = seeds_needed(level, comparisons)
        cure = ""
        if against is not None and detectable(seeds, level, against) is not None:
            cure = (
                f" study.against=ARM makes {counted(against, 'comparison')}, for which "
                f"{counted(seeds, 'seed')} are enough."
            )
        return (
            f"{basis}: no difference can be shown, however large; at least {needed} seeds are "
            f"needed.{cure}"
        )
    spreads = [found.std for d in differences if (found := estimate(d)) and found.std]
    spread = median(spreads) if spreads else EXAMPLE
    source = "of this study's finished runs" if spreads else "for example"
    return (
        f"{basis}: the smallest difference that is shown with a probability of {POWER:.0%} is "
        f"{smallest:.2f} standard deviations of the paired differences; {smallest * spread:.3f} "
        f"if that is {spread:.3f}, {source}."
    )


def finished_differences(
    jobs: Sequence[Job], pairs: Sequence[tuple[str, str]]
) -> list[list[float]]:
    """Return for each pair of arms the differences on test of runs that are finished, by seed."""
    found: dict[tuple[str, int], float] = {}
    for job in jobs:
        if job.trained and (summary := read_summary(job.directory)):
            found[job.arm.name, job.seed] = summary["test"][summary["metric"]]
    seeds = dict.fromkeys(job.seed for job in jobs)
    return [
        [found[one, s] - found[two, s] for s in seeds if (one, s) in found and (two, s) in found]
        for one, two in pairs
    ]


def _finished(jobs: Sequence[Job]) -> dict[str, float]:
    """Return the mean seconds of each arm's finished runs."""
    found: dict[str, list[float]] = {}
    for job in jobs:
        if job.trained and (summary := read_summary(job.directory)):
            found.setdefault(job.arm.name, []).append(summary["seconds"])
    return {name: mean(values) for name, values in found.items()}


def _texts(jobs: Sequence[Job], names: set[str]) -> Mapping[str, str]:
    """Return the configuration of a run of each arm, in YAML."""
    with composing():
        first = {job.arm.name: job for job in reversed(jobs) if job.arm.name in names}
        return {name: OmegaConf.to_yaml(job.compose()) for name, job in first.items()}
