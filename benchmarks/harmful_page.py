"""The table of `benchmarks.harmful`, as a page of the documentation."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from textwrap import fill
from typing import Any

BOUND = 2.0
"""A weighting keeps to the better baseline if it is at most this many points below it."""
WIDTH = 100
"""Columns of the page's sentences."""
ALONE, HELPED = "end task alone", "without the harmful ones"
SHOWN = {"classification": "end task", "tapt": "helpful", "dapt": "random", "classification_aux":
         "shuffled"}  # fmt: skip
INTRODUCTION = """\
# Helpful and harmful objectives

Written by `python -m benchmarks.harmful --page docs/harmful.md`; the runs are in
benchmarks/results/harmful.json. The demo task with three auxiliary objectives: MLM on the task's
own texts, which helps, MLM on random words, and classification of the training texts with shuffled
labels, which do not. Every weighting has its default options; META is also shown with a learning
rate for 300 steps. A tiny model, 300 steps; three seeds, and eight for the baselines, `static`, and
weightings that put the end task first
(`--seeds 0 1 2 3 4 5 6 7 --arms ...`): {runs} runs; the same command runs what is missing. The
score is {metric} on test in points, mean and standard deviation over the seeds. "Random" and
"shuffled" are the weights of the harmful objectives at the end, as shares of all; of weightings
that sample, the mean shares. A seed whose weights are all 0 at the end counts as 0, so a row may
sum to less than 1. The last column compares with the better baseline on the same seeds.

Read it with care: the baselines themselves vary by many points from seed to seed, a run is short,
and default learning rates of weights are made for longer ones. A row of three seeds says little.
"""


def page(runs: Sequence[Mapping[str, Any]], end_task_first: Mapping[str, bool]) -> str:
    """Return the page in Markdown.

    Args:
        runs: each with `arm`, `seed`, `test`, `weights`, `metric`.
        end_task_first: by weighting, whether it puts the end task first.
    """
    arms: dict[str, list[Mapping[str, Any]]] = {}
    for one in runs:
        arms.setdefault(one["arm"], []).append(one)
    means = {name: fmean(one["test"] for one in found) for name, found in arms.items()}
    kept = {name: keeps(arms, name) for name in arms}
    order = sorted(arms, key=lambda name: (name not in (ALONE, HELPED), -means[name]))
    head = INTRODUCTION.format(
        runs=len(runs),
        metric=runs[0]["metric"].replace("_", "-") if runs else "the metric",
    )
    titles = [
        "weighting", "end task first", "seeds", "test", *SHOWN.values(), f"within {BOUND:g} points",
    ]  # fmt: skip
    rows = [_row(name, arms[name], kept[name], end_task_first) for name in order]
    table = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles), *rows]
    return "\n".join([head, *table, "", _verdict(arms, kept, end_task_first)])


def keeps(arms: Mapping[str, Sequence[Mapping[str, Any]]], name: str) -> bool:
    """Return whether an arm is within `BOUND` of the better baseline on the arm's own seeds."""
    seeds = {one["seed"] for one in arms[name]}
    baselines = [
        fmean(scores)
        for each in (ALONE, HELPED)
        if (scores := [one["test"] for one in arms.get(each, ()) if one["seed"] in seeds])
    ]
    found = fmean(one["test"] for one in arms[name])
    return found >= max(baselines, default=found) - BOUND


def _row(
    name: str,
    found: Sequence[Mapping[str, Any]],
    kept: bool,
    end_task_first: Mapping[str, bool],
) -> str:
    """Return an arm's row."""
    scores = [one["test"] for one in found]
    spread = f" ± {stdev(scores):.1f}" if len(scores) > 1 else ""
    weights = [_share(found, objective) for objective in SHOWN]
    first = "" if name not in end_task_first else "yes" if end_task_first[name] else "no"
    shown = name if name in (ALONE, HELPED) else f"`{name}`"
    cells = [shown, first, str(len(scores)), f"{fmean(scores):.1f}{spread}", *weights]
    return f"| {' | '.join([*cells, 'yes' if kept else 'no'])} |"


def _share(found: Sequence[Mapping[str, Any]], objective: str) -> str:
    """Return an objective's mean share of the final weights; empty where it did not train."""
    shares = [
        one["weights"][objective] / total
        if (total := sum(map(abs, one["weights"].values())))
        else 0
        for one in found
        if objective in one["weights"]
    ]
    return f"{fmean(shares):.2f}" if shares else ""


def _verdict(
    arms: Mapping[str, Sequence[Any]],
    kept: Mapping[str, bool],
    end_task_first: Mapping[str, bool],
) -> str:
    """Return which of the weightings that put the end task first stay near the better baseline."""
    protecting = sorted(name for name in arms if end_task_first.get(name))
    lines = []
    for holds, words in ((True, "stay within"), (False, "do **not** stay within")):
        names = ", ".join(f"`{name}`" for name in protecting if kept[name] == holds)
        if names:
            lines.append(
                f"Of the weightings that put the end task first, these {words} {BOUND:g} points "
                f"of the better baseline here: {names}."
            )
    missing = sorted(name for name, first in end_task_first.items() if first and name not in arms)
    if missing:
        lines.append(f"Not run yet: {', '.join(f'`{name}`' for name in missing)}.")
    wrapped = (fill(f"* {line}", WIDTH, subsequent_indent="  ") for line in lines)
    return "\n".join(wrapped) + "\n"
