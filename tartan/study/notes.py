"""What a reader of a study has to know besides its figures, in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from tartan.sizes import counted
from tartan.study.child import Trial
from tartan.study.results import Pair, RunResult, SplitUse
from tartan.study.statistics import seeds_needed


def budget(trials: Mapping[str, Trial]) -> tuple[str, ...]:
    """What is the same for all arms, and what each may spend."""
    lines = [
        "A seed's runs see the same batches of the end task in the same order, and begin with the "
        "same weights of the body and of its head, whatever else they train.",
        "The budget counts rows of the end task that a run trains on, repetitions included; a "
        "stage without the end task counts none. It is what a run may spend: early stopping on dev "
        "may end a stage before.",
    ]
    for name, trial in trials.items():
        stages = [
            f"{stage.name} ({', '.join(stage.objectives)}"
            f"{f' weighed by {stage.weighting}' if stage.weighting else ''}; {stage.steps} steps, "
            f"{stage.primary_examples} rows of the end task)"
            for stage in trial.stages
        ]
        lines.append(f"{name}: {_total(trial)} rows in all; {', then '.join(stages)}.")
    return tuple(lines)


def splits(trials: Mapping[str, Trial], metric: str) -> tuple[SplitUse, ...]:
    """Which split was used for what."""
    rows = dict(next(iter(trials.values())).rows or {})
    by = {where: [n for n, t in trials.items() if t.dev_gradient == where] for where in rows}
    uses = {
        "train": "the end task's training"
        + (f"; {', '.join(by['train'])} took the dev gradient from rows held out of it"
           if by["train"] else ""),
        "dev": f"early stopping, and choosing each run's best model, by {metric}"
        + (f"; {', '.join(by['dev'])} also took the dev gradient from it, which moves the weights "
           "of objectives and no parameter" if by["dev"] else ""),
        "test": f"read once in each run, at its end, by the model that was best on dev; {metric} "
        "of the table is of this split. Nothing was chosen by it: choose hyper-parameters by dev.",
    }  # fmt: skip
    corpora = dict.fromkeys(rows, "text without labels, of auxiliary objectives")
    return tuple(SplitUse(name, count, (corpora | uses)[name]) for name, count in rows.items())


def notes(
    runs: Sequence[RunResult],
    pairs: Sequence[Pair],
    trials: Mapping[str, Trial],
    summaries: Mapping[str, Mapping[str, Any]],
    level: float,
) -> tuple[str, ...]:
    """Runs that are missing, seeds that are too few, and what makes runs hard to compare."""
    found = [
        f"{run.directory} {run.status}{f': {run.error}' if run.error else ''}"
        + "; start the study again to go on with it"
        for run in runs
        if run.status != "finished"
    ]
    found += _few(pairs, level)
    if len({_total(trial) for trial in trials.values()}) > 1:
        found.append("The arms' budgets of end-task rows differ: see the budget.")
    if len({trial.batch for trial in trials.values()}) > 1:
        found.append("The arms' batches of the end task differ in size, so they are not paired.")
    if held := [name for name, trial in trials.items() if trial.dev_gradient == "train"]:
        found.append(
            f"{', '.join(held)} held out training rows for the dev gradient: its batches of the "
            "end task are of fewer rows than those of other arms."
        )
    return (*found, *_unlike(summaries))


def _few(pairs: Sequence[Pair], level: float) -> list[str]:
    """Where there are too few seeds for the test."""
    hopeless = [pair for pair in pairs if pair.least >= level]
    if not hopeless:
        return []
    seeds = min(len(pair.seeds) for pair in hopeless)
    return [
        f"Too few seeds: a two-sided paired test of {counted(seeds, 'seed')}, corrected for "
        f"{counted(len(pairs), 'comparison')}, cannot give a p below "
        f"{max(pair.least for pair in hopeless):.4g}; for one below {level:g}, "
        f"{seeds_needed(level, len(pairs))} seeds are needed."
    ]


def _unlike(summaries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """In what finished runs differ that no arm chose: data, versions, device."""

    def values(read: Any) -> set[str]:
        return {str(read(summary)) for summary in summaries.values()}

    labelled = ("train", "dev", "test")
    found = []
    if len(values(lambda s: {k: s["data"][k]["sha256"] for k in labelled})) > 1:
        found.append("The runs are not of the same data: they cannot be compared.")
    for key in ("device", "precision", "versions"):
        if len(values(lambda s, key=key: s[key])) > 1:
            found.append(f"The runs differ in {key}, as their summary.json say.")
    if changed := [place for place, summary in summaries.items() if summary["changes"]]:
        found.append(f"Changed while they went on: {', '.join(changed)}.")
    return found


def _total(trial: Trial) -> int:
    """The budget of end-task rows."""
    return sum(stage.primary_examples for stage in trial.stages)
