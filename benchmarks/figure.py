"""The figure of benchmarks/results/README.md: seconds a step as one dimension grows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.tables import SCALED

INK = "#808080"
"""Of text and axes: it can be read on white and on black."""

COLOURS = {"static": "#4c8dca", "meta": "#d98032", "Gramian": "#3fa06f"}
NAMES = {
    "objectives": "objectives",
    "batch": "rows of each objective",
    "length": "tokens of each row",
    "model": "body",
}


def draw(report: Mapping[str, Any], file: Path) -> None:
    """Draw a report of scale as an SVG without background; the same report gives the same file."""
    style: Any = {
        "svg.hashsalt": "tartan",
        "text.color": INK,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "font.size": 9,
    }
    axes = [axis for axis in NAMES if any(point["axis"] == axis for point in report["points"])]
    with mpl.rc_context(style):
        figure = Figure(figsize=(3.2 * len(axes), 3.0), layout="constrained")
        panels = figure.subplots(1, len(axes), sharey=True, squeeze=False)[0]
        for panel, axis in zip(panels, axes, strict=True):
            _panel(panel, report, axis)
        panels[0].set_ylabel("seconds a step")
        panels[0].legend(frameon=False, labelcolor="linecolor")
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, transparent=True, metadata={"Date": None})


def _panel(panel: Axes, report: Mapping[str, Any], axis: str) -> None:
    """Draw one axis: a line for each side, both scales logarithmic."""
    points = [point for point in report["points"] if point["axis"] == axis]
    sized = all(isinstance(point["value"], int) for point in points)
    for name, label in SCALED.items():
        drawn = [point for point in points if name in point["sides"]]
        if drawn:
            panel.plot(
                [point["value"] for point in drawn],
                [point["sides"][name]["seconds_per_step"] for point in drawn],
                marker="o", markersize=4, color=COLOURS[label], label=label,
            )  # fmt: skip
    panel.set_yscale("log")
    if sized:
        panel.set_xscale("log", base=2)
        panel.set_xticks([point["value"] for point in points])
        panel.set_xticklabels([str(point["value"]) for point in points])
        panel.minorticks_off()
    panel.set_xlabel(NAMES[axis])
    panel.grid(color=INK, alpha=0.25, linewidth=0.5)
    panel.patch.set_alpha(0)
    for edge in ("top", "right"):
        panel.spines[edge].set_visible(False)
