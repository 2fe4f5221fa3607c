"""A run's page, and the same as Markdown, tables and plots: all made from the run's files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tartan.files import read_text
from tartan.report.curves import Curve, collect, starts
from tartan.report.figures import lines, matrix, scatter
from tartan.report.mistakes import GIVEN, Confusion, confusion, shown, worst
from tartan.report.pages import duration, write_csv, write_page
from tartan.report.plot import Plot, save
from tartan.report.record import (
    CONFIG,
    METRICS,
    PREDICTIONS,
    REPORT,
    SUMMARY,
    read_json,
    read_lines,
)
from tartan.sizes import amount, counted

SHOWN = 24
"""Most labels of a matrix on a page; with more, only the most frequent confusions are shown."""
WEIGHT = "train/weight/"
NUMBERS = "numbers"
"""`task.kind` of summary.json where labels are numbers."""
SETS = "sets"
"""`task.kind` of summary.json where a row has a set of labels."""
RANKINGS: Mapping[str, Mapping[str, Any]] = {
    "classes": {"title": "Most confident mistakes", "size": "probability", "digits": 3},
    "tags": {"title": "Texts with most wrong words", "size": "wrong words", "digits": 0},
    SETS: {"title": "Texts with most wrong labels", "size": "wrong labels", "digits": 0},
    NUMBERS: {"title": "Largest errors", "size": "off by", "digits": 3},
}
"""How the worst mistakes are ranked, by the kind of labels."""
CURVES: Mapping[str, tuple[str, str, str]] = {
    "dev": ("eval/", "on dev", "Dev metrics"),
    "losses": ("train/loss/", "mean loss", "Losses"),
    "weights": (WEIGHT, "weight", "Weights"),
    "alignment": ("train/alignment/", "cosine", "Cosine with the dev gradient"),
}
"""Each figure's name: the metrics it shows, by the beginning of their names, its axis and title."""


def write_run_report(directory: Path, examples: int) -> None:
    """Write figures/, metrics.csv, confusion.csv, report.md, and report.html last.

    Args:
        directory: a complete run's.
        examples: how many of dev's texts a page shows at most.

    Raises:
        CheckpointError: a file of the run cannot be read.
        StorageError: a file cannot be written.
    """
    summary, records = read_json(directory / SUMMARY), read_lines(directory / METRICS)
    assert summary, "a run has a page when it is complete"
    predictions = read_lines(directory / PREDICTIONS)
    labelled = bool(predictions) and summary["task"]["kind"] not in (NUMBERS, SETS)
    errors = confusion(predictions, summary["task"]["labels"]) if labelled else None
    write_tables(directory, records, errors)
    sets = summary["task"]["kind"] == SETS
    plots, mistakes = curve_plots(records), error_plots([] if sets else predictions, errors)
    save([*plots, *mistakes], directory / "figures")
    context = {
        "summary": summary,
        "splits": split_uses(summary),
        "facts": facts(summary, directory),
        "objectives": objective_rows(summary, records),
        "plots": plots,
        "rows": len(predictions),
        "errors": errors if errors and len(errors.labels) <= SHOWN else None,
        "most": errors.most(10) if errors else [],
        "scatter": None if errors else next(iter(mistakes), None),
        "given": GIVEN,
        "ranking": RANKINGS[summary["task"]["kind"]],
        "examples": examples and len(shown(predictions)),
        "worst": worst(predictions, examples),
        "config": read_text(directory / CONFIG),
    }
    write_page(directory / "report.md", "run.md", context)
    write_page(directory / REPORT, "run.html", context)


def write_tables(
    directory: Path, records: Sequence[Mapping[str, Any]], errors: Confusion | None
) -> None:
    """Write metrics.csv, and confusion.csv where there are labels."""
    write_csv(directory / "metrics.csv", records)
    if errors:
        write_csv(directory / "confusion.csv", errors.records())


def curve_plots(records: Sequence[Mapping[str, Any]]) -> list[Plot]:
    """Return plots of dev metrics, losses, weights and alignment over steps, if any."""
    several = [line for line in records if sum(key.startswith(WEIGHT) for key in line) > 1]
    plots = []
    for name, (prefix, axis, title) in CURVES.items():
        if curves := collect(several if prefix == WEIGHT else records, prefix):
            drawn = lines(curves, "step", axis, starts(records))
            plots.append(Plot(name, title, drawn, told(title, curves)))
    return plots


def error_plots(predictions: Sequence[Mapping[str, Any]], errors: Confusion | None) -> list[Plot]:
    """Return the confusion of labels; for numbers, predicted over given values."""
    if errors and len(errors.labels) <= SHOWN:
        drawn = matrix(errors.matrix or (), errors.labels, "predicted", "given")
        return [Plot("confusion", "Confusion on dev", drawn, "the table shows the same")]
    if errors or not predictions:
        return []
    pairs = [(line["label"], line["predicted"]) for line in predictions]
    points = Curve(*zip(*pairs, strict=True))
    said = f"{len(pairs)} points, predicted over given values"
    return [Plot("predicted", "Predicted over given", scatter(points, "given", "predicted"), said)]


def split_uses(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return what each split was used for, in a sentence."""
    probed, metric = (summary["probe_split"] or "").split(", "), summary["metric"]
    train = "Used to train the end task."
    dev = f"Used to choose the best model and when to stop, by {metric}."
    if "train" in probed:
        train += " A held-out part gave the dev gradient."
    if "dev" in probed:
        dev += " It also gave the dev gradient, by which the weights were learned."
    return {"train": train, "dev": dev, "test": "Read once, at the end. Nothing was chosen by it."}


def facts(summary: Mapping[str, Any], directory: Path) -> dict[str, str]:
    """Return what was run, as names and values."""
    stages = (f"{name} ({trains})" for name, trains in summary["stages"].items())
    found = {
        "End task": f"{summary['primary']} on {summary['task']['name']}",
        "Auxiliary": ", ".join(summary["objectives"]) or "none",
        "Weighting": summary["weighting"],
        "Stages": ", ".join(stages),
        "Model": summary["model"],
        "Seed": str(summary["seed"]),
        "Steps": f"{summary['steps']}, best model at step {summary['best_step']}",
        "Time": f"{duration(summary['seconds'])}, {summary['seconds_per_step']:.3f} s a step",
        "Peak memory": amount(summary["peak_memory_bytes"]),
        "Device": f"{summary['device']}, {summary['precision']}",
        "Versions": ", ".join(f"{name} {found}" for name, found in summary["versions"].items()),
        "Directory": str(directory),
    }
    if skipped := summary["skipped_steps"]:
        found["Skipped"] = f"{counted(skipped, 'step')} whose losses or gradients were not finite"
    for stage, step in summary.get("collapsed", {}).items():
        found[f"Collapsed in {stage}"] = (
            f"The end task's weight was below a tenth of an equal share at step {step}"
        )
    for change in summary["changes"]:
        found[f"Changed at step {change['step']}"] = ", ".join(change["changed"])
    return found


def objective_rows(
    summary: Mapping[str, Any], records: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return each objective's final weight, first and last loss, and last cosine, or None."""
    kinds = {kind: collect(records, f"train/{kind}/") for kind in ("loss", "alignment")}
    weights = summary["weights"]
    rows = []
    for name in [summary["primary"], *summary["objectives"]]:
        loss, alignment = (kinds[kind].get(name) for kind in ("loss", "alignment"))
        ends = {"first": loss and loss.y[0], "last": loss and loss.y[-1]}
        cosine = alignment and alignment.y[-1]
        rows.append({"name": name, "weight": weights.get(name), **ends, "cosine": cosine})
    return rows


def told(title: str, curves: Mapping[str, Curve]) -> str:
    """Return curves in words.

    >>> told("Losses", {"mlm": Curve((10, 20), (6.0, 3.5))})
    'Losses over steps. mlm: 6.000 at step 10, 3.500 at step 20'
    """
    ends = (
        f"{name}: {c.y[0]:.3f} at step {c.x[0]:g}, {c.y[-1]:.3f} at step {c.x[-1]:g}"
        for name, c in curves.items()
    )
    return f"{title} over steps. {'; '.join(ends)}"
