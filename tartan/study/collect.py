"""Collect the results of a study from the directories of its runs."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from tartan.experiment.summary import read_summary
from tartan.report.record import SUMMARY, reading
from tartan.study import notes
from tartan.study.conclusions import conclusions
from tartan.study.job import Arm, Job
from tartan.study.options import StudyOptions
from tartan.study.results import (
    FORMAT,
    ArmResult,
    Estimate,
    Pair,
    Point,
    RunResult,
    StudyResults,
)
from tartan.study.statistics import EXACT_UP_TO, effect, estimate, holm, least_p, paired_test
from tartan.study.worker import BuiltArm


def collect(
    options: StudyOptions,
    arms: Sequence[Arm],
    built: Mapping[str, BuiltArm],
    jobs: Sequence[Job],
    failed: Mapping[str, str],
    common: Sequence[str],
) -> StudyResults:
    """Return the results of a study, as far as it is finished.

    Args:
        options: the study's.
        arms: its arms.
        built: the results of building them, by name.
        jobs: its runs.
        failed: why runs failed, by place.
        common: the overrides of every arm that has the option and does not set it itself.
    """
    metric = built[arms[0].name].metric
    order = {arm.name: position for position, arm in enumerate(arms)}
    jobs = sorted(jobs, key=lambda job: (order[job.arm.name], options.seeds.index(job.seed)))
    summaries = {job.place: read_summary(job.directory) or {} for job in jobs}
    runs = []
    for job in jobs:
        with reading(job.directory / SUMMARY):
            runs.append(_run(job, summaries[job.place], failed.get(job.place), metric))
    pairs = tested(
        compared([arm.name for arm in arms], options.against),
        {(run.arm, run.seed): run.test[metric] for run in runs if run.test},
        options.seeds,
        options.confidence,
    )
    finished = {place: summary for place, summary in summaries.items() if summary}
    return StudyResults(
        format=FORMAT,
        metric=metric,
        confidence=options.confidence,
        level=options.level,
        seeds=tuple(options.seeds),
        common=tuple(common),
        budget=notes.budget(built),
        splits=notes.splits(built, metric),
        arms=tuple(_arm(arm, built[arm.name], runs, metric, options.confidence) for arm in arms),
        pairs=pairs,
        runs=tuple(runs),
        notes=notes.notes(runs, pairs, built, finished, options.level),
        conclusions=conclusions(pairs, {arm.name: arm.label for arm in arms}, options.level),
    )


def _run(job: Job, summary: Mapping[str, Any], error: str | None, metric: str) -> RunResult:
    """Return the result of one run, finished or not; `error` says why it failed, then or later."""
    if not summary:
        status = "failed" if error else "unfinished"
        return RunResult(job.arm.name, job.seed, job.place, status, error)
    curve = [
        Point(one["step"], one["primary_examples"], one["seconds"], one["dev"][metric])
        for one in summary["evaluations"]
    ]
    known = (
        "dev", "test", "weights", "best_step", "steps", "primary_examples", "seconds",
        "seconds_per_step", "peak_memory_bytes",
    )  # fmt: skip
    return RunResult(
        job.arm.name,
        job.seed,
        job.place,
        "finished",
        error,
        curve=tuple(curve),
        **{name: summary[name] for name in known},
    )


def _arm(
    arm: Arm, built: BuiltArm, runs: Sequence[RunResult], metric: str, confidence: float
) -> ArmResult:
    """Return an arm's figures over its finished runs."""
    ours = [run for run in runs if run.arm == arm.name and run.status == "finished"]

    def over(name: str) -> Estimate | None:
        return estimate([getattr(run, name) for run in ours], confidence)

    def scored(split: str) -> Estimate | None:
        return estimate([getattr(run, split)[metric] for run in ours], confidence)

    weights = [run.weights or {} for run in ours]
    examples = over("primary_examples")
    return ArmResult(
        name=arm.name,
        label=arm.label,
        overrides=arm.own,
        stages=built.stages,
        dev=scored("dev"),
        test=scored("test"),
        weights=_means(weights) if weights else None,
        primary_examples=examples.mean if examples else None,
        seconds=over("seconds"),
        seconds_per_step=over("seconds_per_step"),
        peak_memory_bytes=max((run.peak_memory_bytes or 0 for run in ours), default=None),
    )


def _means(weights: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean weight of each objective."""
    return {name: sum(one[name] for one in weights) / len(weights) for name in weights[0]}


def compared(names: Sequence[str], against: str | None) -> list[tuple[str, str]]:
    """Return the pairs of arms that are compared; the arm lower in the table comes first.

    Args:
        names: the arms, in the order of the table.
        against: the one that is compared with all others, and comes second; None for all pairs.
    """
    chosen = [
        (second, first)
        for first, second in combinations(names, 2)
        if against is None or against in (first, second)
    ]
    return [(b, a) if against == a else (a, b) for a, b in chosen]


def tested(
    pairs: Sequence[tuple[str, str]],
    scores: Mapping[tuple[str, int], float],
    seeds: Sequence[int],
    confidence: float,
) -> tuple[Pair, ...]:
    """Return the result of each pair of arms, p values corrected for the number of pairs.

    Args:
        pairs: the arms that are compared.
        scores: by arm and seed; a pair is compared on the seeds that both arms have.
        seeds: in the order of the results.
        confidence: of the intervals, 0 to 1.
    """
    found = []
    for first, second in pairs:
        both = [seed for seed in seeds if (first, seed) in scores and (second, seed) in scores]
        differences = [scores[first, seed] - scores[second, seed] for seed in both]
        found.append((first, second, both, differences, paired_test(differences)))
    corrected = holm([1.0 if p is None else p for *_, p in found])
    return tuple(
        _pair(*one, adjusted, len(found), confidence)
        for one, adjusted in zip(found, corrected, strict=True)
    )


def _pair(
    first: str,
    second: str,
    seeds: Sequence[int],
    differences: Sequence[float],
    p: float | None,
    corrected: float,
    comparisons: int,
    confidence: float,
) -> Pair:
    """Return the result of one pair."""
    found = estimate(differences, confidence)
    return Pair(
        first=first,
        second=second,
        seeds=tuple(seeds),
        differences=tuple(differences),
        difference=found,
        p=p,
        exact=len(seeds) <= EXACT_UP_TO,
        corrected=None if p is None else corrected,
        least=least_p(len(seeds), comparisons),
        effect=effect(found),
    )
