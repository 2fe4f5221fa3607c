"""Notes on a study that its readers need besides its figures."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tartan.experiment.identity import CONTENT, NOTED, Part, describe
from tartan.sizes import counted
from tartan.study.results import Pair, RunResult, SplitUse
from tartan.study.statistics import least_p, seeds_needed
from tartan.study.worker import BuiltArm

SEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"data": ("data", "tokenizer"), "model": ("model", "tokenizer"), "objectives": ("model",)}
)
"""What differs between seeds where a section depends on the seed: `data.dir=task/${seed}`. A
tokenizer may be trained on the data, and an objective may have a model of its own."""


def budget(built: Mapping[str, BuiltArm]) -> tuple[str, ...]:
    """Return what is the same for all arms, and the budget of each."""
    lines = [
        "Runs with the same seed see the same batches of the end task in the same order, and begin "
        "with the same weights of the body and of its head, whatever else they train.",
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


def splits(built: Mapping[str, BuiltArm], metric: str) -> tuple[SplitUse, ...]:
    """Return what each split was used for."""
    rows = dict(next(iter(built.values())).rows or {})
    by = {where: [n for n, t in built.items() if where in t.probe_splits] for where in rows}
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
    built: Mapping[str, BuiltArm],
    summaries: Mapping[str, Mapping[str, Any]],
    level: float,
) -> tuple[str, ...]:
    """Return notes on missing runs, too few seeds, and what makes runs hard to compare."""
    found = [
        f"{run.directory} {run.status}{f': {run.error}' if run.error else ''}"
        + "; start the study again to resume it"
        for run in runs
        if run.status != "finished"
    ]
    found += _few(len({run.seed for run in runs}), len(pairs), level)
    if len({_total(arm) for arm in built.values()}) > 1:
        found.append("The arms' budgets of end-task rows differ: see the budget.")
    if len({arm.batch for arm in built.values()}) > 1:
        found.append("The arms' batches of the end task differ in size, so they are not paired.")
    if held := [name for name, arm in built.items() if "train" in arm.probe_splits]:
        found.append(
            f"{', '.join(held)} held out training rows for the dev gradient: its batches of the "
            "end task are of fewer rows than those of other arms."
        )
    return (*found, *_unlike(summaries))


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
    found = []
    seeded = {each for section in SEEDED if _follows(section, parts) for each in SEEDED[section]}
    content = _named(parts, lambda part: _within_seeds if part in seeded else _groups)
    if content:
        found.append(
            f"The runs differ in {', '.join(content)}: they cannot be compared. Remove the "
            "directories of those that are out of date, and start the study again."
        )
    elif own := seeded and _named(parts, lambda _: _groups):
        found.append(f"Each seed has its own {', '.join(own)}, the same for all arms.")
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


def _named(
    parts: Mapping[str, Mapping[str, Part]],
    compare: Callable[[str], Callable[[Mapping[str, Mapping[str, Part]], str], Iterable[str]]],
) -> list[str]:
    """Return the names of contents in which runs differ, each part by a comparison of its own."""
    return [
        name
        for part in CONTENT
        for key in compare(part)(parts, part)
        for name in describe({part: [key]})
    ]


def _follows(section: str, parts: Mapping[str, Mapping[str, Part]]) -> bool:
    """Return whether a section of the configuration differs between seeds of an arm."""
    found: dict[str, set[str]] = {}
    for place, its in parts.items():
        configured = str(its.get("configuration", {}).get(section))
        found.setdefault(place.rpartition("/")[0], set()).add(configured)
    return any(len(values) > 1 for values in found.values())


def _within_seeds(parts: Mapping[str, Mapping[str, Part]], part: str) -> list[str]:
    """Return the keys of a part in which arms of the same seed differ."""
    seeds: dict[str, dict[str, Mapping[str, Part]]] = {}
    for place, its in parts.items():
        seeds.setdefault(place.rpartition("/")[2], {})[place] = its
    return sorted({key for its in seeds.values() for key in _groups(its, part)})


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
