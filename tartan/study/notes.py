"""Notes on a study that its readers need besides its figures."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tartan.experiment.identity import CONTENT, NOTED, Part, deciding, describe
from tartan.sizes import counted
from tartan.study.results import Pair, RunResult, SplitUse
from tartan.study.statistics import least_p, seeds_needed
from tartan.study.worker import BuiltArm


def budget(built: Mapping[str, BuiltArm]) -> tuple[str, ...]:
    """Return what is the same for all arms, and the budget of each."""
    lines = [
        *_shared(built),
        "The budget counts rows of the end task that a run trains on, repetitions included; a "
        "stage without the end task counts none. It is an upper limit: early stopping on dev may "
        "end a stage sooner.",
    ]
    for name, arm in built.items():
        stages = [
            f"{stage.name} ({', '.join(stage.objectives)}"
            f"{f' weighted by {stage.weighting}' if stage.weighting else ''}; "
            f"{counted(stage.steps, 'step')}, {counted(stage.primary_examples, 'row')} of the end "
            "task)"
            for stage in arm.stages
        ]
        lines.append(f"{name}: {counted(_total(arm), 'row')} in all; {', then '.join(stages)}.")
    return tuple(lines)


def _shared(built: Mapping[str, BuiltArm]) -> list[str]:
    """Return what runs with the same seed have in common, in a sentence; nothing, if nothing."""
    common = []
    if len({arm.batches for arm in built.values()}) == 1:
        common.append("see the same batches of the end task in the same order")
    if len({arm.start for arm in built.values()}) == 1:
        common.append("begin with the same weights of the body and of its head")
    if not common:
        return []
    return [f"Runs with the same seed {', and '.join(common)}, whatever else they train."]


def splits(built: Mapping[str, BuiltArm], metric: str) -> tuple[SplitUse, ...]:
    """Return what each split was used for; one of other sizes in other arms is several."""
    rows: dict[str, dict[int | None, list[str]]] = {}
    for name, arm in built.items():
        for split, count in (arm.rows or {}).items():
            rows.setdefault(split, {}).setdefault(count, []).append(name)
    return tuple(
        SplitUse(split, count, _use(split, of, built, metric, same=len(sizes) == 1))
        for split, sizes in rows.items()
        for count, of in sizes.items()
    )


def _use(
    split: str, arms: Sequence[str], built: Mapping[str, BuiltArm], metric: str, *, same: bool
) -> str:
    """Return what some arms used a split for; named unless all arms have the same rows."""
    probing = ", ".join(name for name in arms if split in built[name].probe_splits)
    uses = {
        "train": "the end task's training"
        + (f"; {probing} took the dev gradient from rows held out of it" if probing else ""),
        "dev": f"early stopping, and choosing each run's best model, by {metric}"
        + (f"; {probing} also took the dev gradient from it, which moves the weights of objectives "
           "and no parameter" if probing else ""),
        "test": f"read once in each run, at its end, by the model that was best on dev; {metric} "
        "of the table is of this split. Nothing was chosen by it: choose hyper-parameters by dev.",
    }  # fmt: skip
    use = uses.get(split, "text without labels, of auxiliary objectives")
    return use if same else f"of {', '.join(arms)}: {use}"


def notes(
    runs: Sequence[RunResult],
    pairs: Sequence[Pair],
    built: Mapping[str, BuiltArm],
    summaries: Mapping[str, Mapping[str, Any]],
    level: float,
) -> tuple[str, ...]:
    """Return notes on missing runs, too few seeds, and what makes runs hard to compare."""
    found = [_failure(run) for run in runs if not run.complete]
    found += _few(len({run.seed for run in runs}), len(pairs), level)
    if len({_total(arm) for arm in built.values()}) > 1:
        found.append("The arms' budgets of end-task rows differ: see the budget.")
    if len({arm.batch for arm in built.values()}) > 1:
        found.append("The arms' batches of the end task differ in size, so they are not paired.")
    if held := [name for name, arm in built.items() if "train" in arm.probe_splits]:
        unlike = " and are not those of other arms" if len(held) < len(built) else ""
        found.append(
            f"{', '.join(held)} held out training rows for the dev gradient, so batches of the end "
            f"task are drawn from fewer rows there{unlike}."
        )
    return (*found, *_unlike(summaries))


def _failure(run: RunResult) -> str:
    """Return a note on a run that is not complete."""
    reason = f": {run.error}" if run.error else ""
    if run.status == "finished":
        return f"{run.directory} finished, but then failed{reason}; start the study again to retry"
    return f"{run.directory} {run.status}{reason}; start the study again to resume it"


def _few(seeds: int, comparisons: int, level: float) -> list[str]:
    """Return a note where a study has too few seeds for the test."""
    least = least_p(seeds, comparisons)
    if not comparisons or least < level:
        return []
    return [
        f"Too few seeds: a two-sided paired test of {counted(seeds, 'seed')}, corrected for "
        f"{counted(comparisons, 'comparison')}, cannot give a p below {least:.4g}; for one below "
        f"{level:g}, {seeds_needed(level, comparisons)} seeds are needed."
    ]


def _unlike(summaries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return where finished runs differ in what they depend on, other than their configuration."""
    parts = {place: s["identity"]["parts"] for place, s in summaries.items() if "identity" in s}
    found = _content(parts)
    for part in ("device", *NOTED):
        for key, groups in _groups(parts, part).items():
            values = "; ".join(f"{value} in {_some(places)}" for value, places in groups.items())
            found.append(f"The runs differ in {key}: {values}.")
    if older := [place for place in summaries if place not in parts]:
        found.append(
            f"An older version wrote {_some(older)}: what {counted(len(older), 'run')} depended on "
            "was not recorded, and not compared."
        )
    if changed := [place for place, summary in summaries.items() if summary["changes"]]:
        found.append(
            f"Resumed with changes: {_some(changed)}; `changes` in summary.json says which."
        )
    return found


def _content(parts: Mapping[str, Mapping[str, Part]]) -> list[str]:
    """Return where runs read different content: out of date, or by their configuration."""
    stale = _differing(parts, lambda _, sections: sections)
    arms = _differing(parts, lambda place, _: place.rpartition("/")[2]) - stale
    seeds = _differing(parts, lambda place, _: place.rpartition("/")[0]) - stale
    found = []
    if stale:
        found.append(
            f"The runs differ in {_names(stale)}: they cannot be compared. Remove the "
            "directories of those that are out of date, and start the study again."
        )
    if seeds - arms:
        found.append(f"Each seed has its own {_names(seeds - arms)}, the same for all arms.")
    if seeds & arms:
        found.append(f"Each seed has its own {_names(seeds & arms)}.")
    if arms:
        found.append(
            f"The arms read different {_names(arms)}: differences between their scores include "
            "the effect of that."
        )
    return found


def _differing(
    parts: Mapping[str, Mapping[str, Part]], group: Callable[[str, str], str]
) -> set[tuple[str, str]]:
    """Return the parts of content, and their keys, in which runs of one group differ.

    Args:
        parts: the parts of each run's identity, by the run's place.
        group: of a run, by its place and the sections of its configuration that decide a key.
    """
    found: dict[tuple[str, str, str], set[str]] = {}
    for place, its in parts.items():
        configured = its.get("configuration", {})
        for part in CONTENT:
            for key, value in its.get(part, {}).items():
                sections = str([configured.get(name) for name in deciding(part, key)])
                found.setdefault((part, key, group(place, sections)), set()).add(str(value))
    return {(part, key) for (part, key, _), values in found.items() if len(values) > 1}


def _names(differing: set[tuple[str, str]]) -> str:
    """Return the names of parts and keys, in the order of the parts."""
    by_part = {part: sorted(key for its, key in differing if its == part) for part in CONTENT}
    return ", ".join(describe(by_part))


def _groups(parts: Mapping[str, Mapping[str, Part]], part: str) -> dict[str, dict[str, list[str]]]:
    """Return the keys of a part in which runs differ, and for each the runs by their value.

    Args:
        parts: the parts of each run's identity, by the run's place.
        part: which of them.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for place, its in parts.items():
        for key, value in its.get(part, {}).items():
            found.setdefault(key, {}).setdefault(str(value), []).append(place)
    return {key: groups for key, groups in sorted(found.items()) if len(groups) > 1}


def _some(places: Sequence[str]) -> str:
    """Return the places of a few runs, or how many there are."""
    return ", ".join(places) if len(places) <= 3 else counted(len(places), "run")


def _total(arm: BuiltArm) -> int:
    """Return the budget of end-task rows."""
    return sum(stage.primary_examples for stage in arm.stages)
