"""A study's page and plots, made from its study.json."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from tartan.report.curves import Curve
from tartan.report.figures import Band, Plot, dots, intervals, lines, save
from tartan.report.pages import write_page
from tartan.report.record import read_json

STUDY = "study.html"
RESULTS = "study.json"
AXES: Mapping[str, tuple[str, str]] = {
    "primary_examples": ("rows of the end task trained on", "Dev over rows of the end task"),
    "seconds": ("seconds of training steps", "Dev over time"),
}
"""What learning curves are drawn over: the axis and the plot's title."""


def write_study_report(directory: Path) -> None:
    """Write a study's figures/ and study.html.

    Args:
        directory: the study's, with its study.json.

    Raises:
        CheckpointError: study.json cannot be read.
        StorageError: a file cannot be written.
    """
    study = read_json(directory / RESULTS)
    assert study, "a study has a page when it has results"
    scores, differences = score_plots(study), difference_plots(study)
    curves, weights = curve_plots(study), weight_plots(study)
    save([*scores, *differences, *curves, *weights], directory / "figures")
    names = {arm["name"]: arm["label"] for arm in study["arms"]}
    context = {
        "study": study,
        "names": names,
        "found": significant(study, names),
        "scores": scores,
        "differences": differences,
        "curves": curves,
        "weights": weights,
        "pages": {run["directory"] for run in study["runs"] if _page(directory, run).exists()},
    }
    write_page(directory / STUDY, "study.html", context)


def significant(study: Mapping[str, Any], names: Mapping[str, str]) -> list[tuple[str, str]]:
    """The pairs of arms of which one is above the other with a corrected p below the level."""
    found = []
    for pair in study["pairs"]:
        if pair["corrected"] is not None and pair["corrected"] < study["level"]:
            ends = names[pair["first"]], names[pair["second"]]
            found.append(ends if pair["difference"]["mean"] > 0 else ends[::-1])
    return found


def score_plots(study: Mapping[str, Any]) -> list[Plot]:
    """The metric on test of every run, by arm."""
    metric, arms = study["metric"], _finished(study)
    rows = {label: [run["test"][metric] for run in runs] for label, runs in arms.items()}
    if not rows:
        return []
    said = "; ".join(f"{label}: mean {np.mean(values):.4f}" for label, values in rows.items())
    title = f"{metric} on test"
    return [Plot("scores", title, dots(rows, title), f"{title}, a point a run. {said}")]


def difference_plots(study: Mapping[str, Any]) -> list[Plot]:
    """Paired differences with their intervals."""
    names = {arm["name"]: arm["label"] for arm in study["arms"]}
    rows: dict[str, tuple[float, float, float]] = {}
    for pair in study["pairs"]:
        if found := pair["difference"]:
            mean = found["mean"]
            ends = [mean if found[end] is None else found[end] for end in ("low", "high")]
            rows[f"{names[pair['first']]} - {names[pair['second']]}"] = (mean, ends[0], ends[1])
    if not rows:
        return []
    said = "; ".join(f"{n}: {m:+.4f}, from {a:+.4f} to {b:+.4f}" for n, (m, a, b) in rows.items())
    title = f"Paired differences of {study['metric']} on test"
    return [Plot("differences", title, intervals(rows, "difference"), f"{title}. {said}")]


def curve_plots(study: Mapping[str, Any]) -> list[Plot]:
    """Learning curves: the mean of each arm's runs, and their standard deviation around it."""
    plots = []
    for over, (axis, title) in AXES.items():
        means: dict[str, Curve] = {}
        bands: dict[str, Band] = {}
        for label, runs in _finished(study).items():
            curves = [
                Curve(tuple(p[over] for p in run["curve"]), tuple(p["value"] for p in run["curve"]))
                for run in runs
                if run["curve"]
            ]
            if curves:
                means[label], bands[label] = mean_curve(curves)
        if means:
            ends = (f"{n}: {c.y[0]:.4f} at {c.x[0]:g}, {c.y[-1]:.4f} at {c.x[-1]:g}"
                    for n, c in means.items())  # fmt: skip
            drawn = lines(means, axis, f"{study['metric']} on dev", bands=bands)
            plots.append(Plot(f"dev-over-{over}", title, drawn, f"{title}. {'; '.join(ends)}"))
    return plots


def mean_curve(curves: Sequence[Curve]) -> tuple[Curve, Band]:
    """The mean of curves, and the band of their standard deviation (n - 1) around it.

    Between its points a curve is taken as straight. The mean goes where all of the curves go: a
    mean over those that are left would jump where one of them ends.
    """
    low, high = max(curve.x[0] for curve in curves), min(curve.x[-1] for curve in curves)
    places = {x for x in chain.from_iterable(curve.x for curve in curves) if low <= x <= high}
    grid = np.array(sorted(places | {low, high} if low <= high else {high}))
    values = np.array([np.interp(grid, curve.x, curve.y) for curve in curves])
    mean = values.mean(0)
    spread = values.std(0, ddof=1) if len(curves) > 1 else np.zeros_like(mean)
    curve = Curve(tuple(grid.tolist()), tuple(mean.tolist()))
    return curve, ((mean - spread).tolist(), (mean + spread).tolist())


def weight_plots(study: Mapping[str, Any]) -> list[Plot]:
    """The weights that runs of several objectives end with."""
    rows: dict[str, list[float]] = {}
    for label, runs in _finished(study).items():
        for run in runs:
            for name, weight in run["weights"].items() if len(run["weights"]) > 1 else ():
                rows.setdefault(f"{label}: {name}", []).append(weight)
    if not rows:
        return []
    said = "; ".join(f"{name}: mean {np.mean(values):.3f}" for name, values in rows.items())
    title = "Weights at the end"
    return [Plot("weights", title, dots(rows, "weight"), f"{title}, a point a run. {said}")]


def _finished(study: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The finished runs of each arm that has any, by its label."""
    labels = {arm["name"]: arm["label"] for arm in study["arms"]}
    runs: dict[str, list[Mapping[str, Any]]] = {label: [] for label in labels.values()}
    for run in study["runs"]:
        if run["status"] == "finished":
            runs[labels[run["arm"]]].append(run)
    return {label: found for label, found in runs.items() if found}


def _page(directory: Path, run: Mapping[str, Any]) -> Path:
    return directory / str(run["directory"]) / "report.html"
