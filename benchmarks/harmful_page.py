"""The table of `benchmarks.harmful`, as a page of the documentation."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

BOUND = 2.0
"""A weighting keeps to the better baseline if it is at most this many points below it."""
ALONE, HELPED = "end task alone", "without the harmful ones"
SHOWN = {"classification": "end task", "tapt": "helpful", "dapt": "random", "classification_aux":
         "shuffled"}  # fmt: skip
INTRODUCTION = """\
# Helpful and harmful objectives

Written by `python -m benchmarks.harmful --page docs/harmful.md`; the runs are in
benchmarks/results/harmful.json. The demo task with three auxiliary objectives: MLM on the task's
own texts, which helps, MLM on random words, and classification of the training texts with shuffled
labels, which do not. Every weighting has its default options. A tiny model, 300 steps, at most
{seeds} seeds; the same command runs what is missing. The score is {metric} on test in points, mean
and standard deviation over the seeds. "Random" and "shuffled" are the weights of the harmful
objectives at the end, as shares of all; of weightings that sample, the mean shares.
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
    scores = {name: [one["test"] for one in found] for name, found in arms.items()}
    best = max((fmean(scores[name]) for name in (ALONE, HELPED) if name in scores), default=0.0)
    order = sorted(arms, key=lambda name: (name not in (ALONE, HELPED), -fmean(scores[name])))
    rows = [_row(name, arms[name], scores[name], best, end_task_first) for name in order]
    seeds = max((len(found) for found in arms.values()), default=0)
    head = INTRODUCTION.format(seeds=seeds, metric=runs[0]["metric"] if runs else "the metric")
    titles = [
        "weighting",
        "end task first",
        "seeds",
        "test",
        *SHOWN.values(),
        f"within {BOUND:g} points",
    ]
    table = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles), *rows]
    return "\n".join([head, *table, "", _verdict(arms, scores, best, end_task_first)])


def _row(
    name: str,
    found: Sequence[Mapping[str, Any]],
    scores: Sequence[float],
    best: float,
    end_task_first: Mapping[str, bool],
) -> str:
    """Return an arm's row."""
    spread = f" ± {stdev(scores):.1f}" if len(scores) > 1 else ""
    test = f"{fmean(scores):.1f}{spread}"
    weights = [_share(found, objective) for objective in SHOWN]
    first = "" if name not in end_task_first else "yes" if end_task_first[name] else "no"
    kept = "yes" if fmean(scores) >= best - BOUND else "no"
    shown = name if name in (ALONE, HELPED) else f"`{name}`"
    return f"| {' | '.join([shown, first, str(len(scores)), test, *weights, kept])} |"


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
    scores: Mapping[str, Sequence[float]],
    best: float,
    end_task_first: Mapping[str, bool],
) -> str:
    """Return which of the weightings that put the end task first stay near the better baseline."""
    protecting = [name for name in arms if end_task_first.get(name)]
    kept = [name for name in protecting if fmean(scores[name]) >= best - BOUND]
    lost = [name for name in protecting if name not in kept]
    parts = [f"The better baseline has {best:.1f} points."]
    for chosen, words in ((kept, "stay within"), (lost, "do not stay within")):
        if chosen:
            names = ", ".join(f"`{name}`" for name in sorted(chosen))
            parts.append(
                f"Of the weightings that put the end task first, {names} {words} {BOUND:g} points "
                "of it."
            )
    return " ".join(parts) + "\n"
