"""The plots on a study's page."""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from tartan.report.curves import Curve
from tartan.report.figures import Band, dots, intervals, lines
from tartan.report.plot import Plot
from tartan.study.results import RunResult, StudyResults

AXES: Mapping[str, tuple[str, str, str]] = {
    "dev-over-rows": (
        "primary_examples", "rows of the end task trained on", "Dev over rows of the end task",
    ),
    "dev-over-seconds": ("seconds", "seconds of training steps", "Dev over time"),
}  # fmt: skip
"""Each learning curve's name: what of `Point` it is drawn over, the axis and the title."""


def score_plots(results: StudyResults) -> list[Plot]:
    """Return a plot of the metric on test of every run, by arm."""
    metric = results.metric
    rows = {
        label: [run.test[metric] for run in runs if run.test]
        for label, runs in finished(results).items()
    }
    if not rows:
        return []
    said = "; ".join(f"{label}: mean {np.mean(values):.4f}" for label, values in rows.items())
    title = f"{metric} on test"
    return [Plot("scores", title, dots(rows, title), f"{title}, a point a run. {said}")]


def difference_plots(results: StudyResults) -> list[Plot]:
    """Return a plot of paired differences with their intervals."""
    rows: dict[str, tuple[float, float, float]] = {}
    for pair in results.pairs:
        if found := pair.difference:
            low, high = (found.mean if end is None else end for end in (found.low, found.high))
            rows[results.title(pair)] = found.mean, low, high
    if not rows:
        return []
    said = "; ".join(f"{n}: {m:+.4f}, from {a:+.4f} to {b:+.4f}" for n, (m, a, b) in rows.items())
    title = f"Paired differences of {results.metric} on test"
    return [Plot("differences", title, intervals(rows, "difference"), f"{title}. {said}")]


def curve_plots(results: StudyResults) -> list[Plot]:
    """Return learning curves: the mean of each arm's runs, and its standard deviation."""
    plots = []
    for name, (over, axis, title) in AXES.items():
        means: dict[str, Curve] = {}
        bands: dict[str, Band] = {}
        for label, runs in finished(results).items():
            points = [[(getattr(p, over), p.value) for p in run.curve] for run in runs if run.curve]
            if found := mean_curve([Curve(*zip(*run, strict=True)) for run in points]):
                means[label], bands[label] = found
        if means:
            ends = (f"{n}: {c.y[0]:.4f} at {c.x[0]:.0f}, {c.y[-1]:.4f} at {c.x[-1]:.0f}"
                    for n, c in means.items())  # fmt: skip
            drawn = lines(means, axis, f"{results.metric} on dev", bands=bands)
            plots.append(Plot(name, title, drawn, f"{title}. {'; '.join(ends)}"))
    return plots


def mean_curve(curves: Sequence[Curve]) -> tuple[Curve, Band] | None:
    """Return the mean of curves, and the band of their standard deviation (n - 1) around it.

    Between its points a curve is taken as straight, and after its last as level, so that the mean
    does not jump where one of them ends. It begins where all have begun. None of no curves.
    """
    if not curves:
        return None
    begun = max(curve.x[0] for curve in curves)
    grid = sorted({x for x in chain.from_iterable(curve.x for curve in curves) if x >= begun})
    values = np.array([np.interp(grid, curve.x, curve.y) for curve in curves])
    mean = values.mean(0)
    spread = values.std(0, ddof=1) if len(curves) > 1 else np.zeros_like(mean)
    curve = Curve(tuple(grid), tuple(mean.tolist()))
    return curve, ((mean - spread).tolist(), (mean + spread).tolist())


def weight_plots(results: StudyResults) -> list[Plot]:
    """Return a plot of the final weights of runs with several objectives."""
    rows: dict[str, list[float]] = {}
    for label, runs in finished(results).items():
        for run in runs:
            weights = run.weights or {}
            for name, weight in weights.items() if len(weights) > 1 else ():
                rows.setdefault(f"{label}: {name}", []).append(weight)
    if not rows:
        return []
    said = "; ".join(f"{name}: mean {np.mean(values):.3f}" for name, values in rows.items())
    title = "Weights at the end"
    return [Plot("weights", title, dots(rows, "weight"), f"{title}, a point a run. {said}")]


def finished(results: StudyResults) -> dict[str, list[RunResult]]:
    """Return the finished runs of each arm that has any, by its label."""
    runs = {
        arm.label: [r for r in results.runs if (r.arm, r.status) == (arm.name, "finished")]
        for arm in results.arms
    }
    return {label: found for label, found in runs.items() if found}
