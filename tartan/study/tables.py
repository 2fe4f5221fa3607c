"""A study as tables: the same rows for a page, Markdown and a terminal; records for CSV."""

from collections.abc import Mapping, Sequence
from typing import Any

from tartan.report.pages import Table
from tartan.sizes import amount, counted
from tartan.study.results import ArmResult, Estimate, Pair, RunResult, StudyResults
from tartan.study.statistics import EXACT_UP_TO, RESAMPLES

NOTHING = "-"


def arm_table(results: StudyResults) -> Table:
    """Return the table of arms: scores, their spread, time and memory."""
    percent = f"{100 * results.confidence:g}%"
    return Table(
        "Arms",
        f"Means over runs, standard deviations (n - 1), and {percent} bootstrap intervals of the "
        f"mean (BCa, {RESAMPLES} resamples). Seconds are of training, evaluations included; peak "
        "memory is the largest of a run.",
        (
            "arm", f"test {results.metric}", f"{percent} interval", "on dev", "runs", "seconds",
            "s/step", "peak memory",
        ),
        [_arm_row(arm) for arm in results.arms],
    )  # fmt: skip


def pair_table(results: StudyResults) -> Table:
    """Return the table of pairs of arms: differences and tests."""
    every, sample = "exact: all exchanges within pairs", "a random sample of exchanges"
    if all(pair.exact for pair in results.pairs):
        kind = every
    elif any(pair.exact for pair in results.pairs):
        kind = f"{every}; of pairs with more than {EXACT_UP_TO} seeds, {sample}"
    else:
        kind = sample
    return Table(
        "Paired differences",
        f"{results.metric} on test, first arm minus second, of the same seeds. p is of a two-sided "
        f"paired permutation test ({kind}), corrected by Holm's method for "
        f"{counted(len(results.pairs), 'comparison')}; * is below {results.level:g}. The effect is "
        "the mean difference divided by the standard deviation of the differences.",
        (
            "pair", "difference", f"{100 * results.confidence:g}% interval", "effect", "seeds", "p",
            "corrected p",
        ),
        [_pair_row(pair, results) for pair in results.pairs],
    )  # fmt: skip


def weight_table(results: StudyResults) -> Table:
    """Return the table of weights of arms with several objectives; it may have no rows."""
    weights = {a.label: a.weights for a in results.arms if a.weights and len(a.weights) > 1}
    names = list(dict.fromkeys(name for found in weights.values() for name in found))
    return Table(
        "Weights",
        "At the end of the last stage with several objectives, mean over runs.",
        ("arm", *names),
        [
            (label, *(f"{found[name]:.3f}" if name in found else NOTHING for name in names))
            for label, found in weights.items()
        ],
    )


def run_table(results: StudyResults) -> Table:
    """Return the table of all runs."""
    return Table(
        "Runs",
        "Test was read once by each run, at its end.",
        ("run", "status", "dev", "test", "best step", "end-task rows", "seconds"),
        [_run_row(run, results.metric) for run in results.runs],
        words=("status",),
    )


def arm_records(results: StudyResults) -> list[dict[str, object]]:
    """Return the rows of study.csv: one for each arm, plain numbers."""
    return [_arm_record(arm) for arm in results.arms]


def pair_records(results: StudyResults) -> list[dict[str, object]]:
    """Return the rows of pairs.csv: one for each pair of arms, by their names."""
    return [_pair_record(pair) for pair in results.pairs]


def run_records(results: StudyResults) -> list[dict[str, object]]:
    """Return the rows of runs.csv: one for each run, with all its metrics and weights."""
    return [_run_record(run) for run in results.runs]


def _arm_row(arm: ArmResult) -> Sequence[str]:
    return (
        arm.label,
        _spread(arm.test),
        _interval(arm.test),
        _spread(arm.dev),
        str(arm.test.n if arm.test else 0),
        _mean(arm.seconds, "{:.0f}"),
        _mean(arm.seconds_per_step, "{:.3f}"),
        NOTHING if arm.peak_memory_bytes is None else amount(arm.peak_memory_bytes),
    )


def _pair_row(pair: Pair, results: StudyResults) -> Sequence[str]:
    star = "*" if pair in results.significant else ""
    return (
        results.title(pair),
        _mean(pair.difference, "{:+.4f}"),
        _interval(pair.difference, "+"),
        NOTHING if pair.effect is None else f"{pair.effect:+.2f}",
        str(len(pair.seeds)),
        NOTHING if pair.p is None else f"{pair.p:.4f}",
        NOTHING if pair.corrected is None else f"{pair.corrected:.4f}{star}",
    )


def _run_row(run: RunResult, metric: str) -> Sequence[str]:
    if run.dev is None or run.test is None:
        return (run.directory, run.status, *[NOTHING] * 5)
    return (
        run.directory,
        run.status if run.complete else f"{run.status}, then failed",
        f"{run.dev[metric]:.4f}",
        f"{run.test[metric]:.4f}",
        str(run.best_step),
        str(run.primary_examples),
        f"{run.seconds:.0f}",
    )


def _spread(found: Estimate | None) -> str:
    """Return a mean and its standard deviation: `0.7123 ± 0.0100`."""
    if found is None:
        return NOTHING
    return f"{found.mean:.4f}" + ("" if found.std is None else f" ± {found.std:.4f}")


def _interval(found: Estimate | None, sign: str = "") -> str:
    """Return the interval of a mean: `[0.7001, 0.7245]`."""
    if found is None or found.low is None:
        return NOTHING
    return f"[{found.low:{sign}.4f}, {found.high:{sign}.4f}]"


def _mean(found: Estimate | None, form: str) -> str:
    """Return a mean, formatted."""
    return NOTHING if found is None else form.format(found.mean)


def _arm_record(arm: ArmResult) -> dict[str, object]:
    record: dict[str, object] = {"arm": arm.name, "label": arm.label}
    record["runs"] = arm.test.n if arm.test else 0
    for split, found in (("test", arm.test), ("dev", arm.dev)):
        for name in ("mean", "std", "low", "high"):
            record[f"{split}_{name}"] = found and getattr(found, name)
    record["seconds"] = arm.seconds and arm.seconds.mean
    record["seconds_per_step"] = arm.seconds_per_step and arm.seconds_per_step.mean
    record["peak_memory_bytes"] = arm.peak_memory_bytes
    record["primary_examples"] = arm.primary_examples
    return record


def _pair_record(pair: Pair) -> dict[str, object]:
    found = pair.difference
    return {
        "first": pair.first,
        "second": pair.second,
        "seeds": len(pair.seeds),
        "difference": found and found.mean,
        "low": found and found.low,
        "high": found and found.high,
        "effect": pair.effect,
        "p": pair.p,
        "corrected_p": pair.corrected,
        "least_p": pair.least,
    }


def _run_record(run: RunResult) -> dict[str, object]:
    record: dict[str, object] = {"arm": run.arm, "seed": run.seed, "status": run.status}
    for split, scores in (("dev", run.dev), ("test", run.test)):
        record |= {f"{split}_{name}": value for name, value in (scores or {}).items()}
    for name in (
        "best_step", "steps", "primary_examples", "seconds", "seconds_per_step",
        "peak_memory_bytes",
    ):  # fmt: skip
        record[name] = getattr(run, name)
    weights: Mapping[str, Any] = run.weights or {}
    record |= {f"weight_{name}": value for name, value in weights.items()}
    return record | {"directory": run.directory, "error": run.error}
