"""Figures: curves, intervals, points, and the confusion of labels."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tartan.report.curves import Curve
from tartan.report.plot import INK, SERIES, drawing
from tartan.report.text import visible
from tartan.spelling import spelled

DASHES = ("-", "--", "-.", ":")
ON_LIGHT = "black"
"""Colour of text on a light cell, which stays light on a dark page: a page must not replace it."""
SIZE = (4.8, 3.2)
"""Inches; the text of a plot of this width is legible on a phone."""
LONGEST = 28
"""Characters of a name in a line: more leave too little room for the plot."""
NAME_HEIGHT = 0.21
"""Inches; of a row of names above a plot."""
Band = tuple[Sequence[float], Sequence[float]]
"""Lower and upper bounds around a curve."""


def lines(
    curves: Mapping[str, Curve],
    x: str,
    y: str,
    marks: Mapping[str, float] | None = None,
    bands: Mapping[str, Band] | None = None,
) -> Figure:
    """Draw curves with their names.

    Args:
        curves: by name.
        x: what the horizontal axis shows.
        y: what the vertical axis shows.
        marks: labelled positions on the horizontal axis.
        bands: shaded areas around curves, by name.
    """
    with drawing():
        figure, axes = _axes(x, y)
        for number, (name, curve) in enumerate(curves.items()):
            colour = SERIES[number % len(SERIES)]
            marker = "o" if len(curve.x) == 1 else ""
            dash = DASHES[number % len(DASHES)]
            axes.plot(curve.x, curve.y, color=colour, linestyle=dash, marker=marker)
            if bands and name in bands:
                axes.fill_between(curve.x, *bands[name], color=colour, alpha=0.18, linewidth=0)
        end = max(curve.x[-1] for curve in curves.values())
        for name, place in (marks or {}).items():
            if place >= end:
                continue
            axes.axvline(place, color=INK, linestyle=":", linewidth=1)
            axes.annotate(
                _short(name), (place, 1), (0, 2), ("data", "axes fraction"), "offset points",
                ha="center", va="bottom", size="small",
            )  # fmt: skip
        _legend(figure, list(axes.lines[: len(curves)]), list(curves))
    return figure


def scatter(points: Curve, x: str, y: str) -> Figure:
    """Draw points, and the line where both coordinates are equal."""
    with drawing():
        figure, axes = _axes(x, y)
        ends = [min(*points.x, *points.y), max(*points.x, *points.y)]
        axes.plot(ends, ends, color=INK, linestyle=":", linewidth=1)
        axes.plot(points.x, points.y, color=SERIES[0], linestyle="", marker="o", alpha=0.5)
    return figure


def reliability(curve: Curve, shares: Sequence[float]) -> Figure:
    """Draw accuracy over probability, a bar for the share of predictions, and the diagonal.

    Args:
        curve: accuracy over mean probability, of bins.
        shares: of predictions in each bin, 0 to 1.
    """
    with drawing():
        figure, axes = _axes("probability of the prediction", "share that is right")
        axes.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1)
        axes.bar(curve.x, shares, width=0.04, color=SERIES[1], alpha=0.35)
        axes.plot(curve.x, curve.y, color=SERIES[0], marker="o")
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        line, bars = axes.lines[-1], axes.patches[0]
        _legend(figure, [line, bars], ["right", "share of predictions"])
    return figure


def intervals(rows: Mapping[str, tuple[float, float, float]], x: str) -> Figure:
    """Draw a forest plot: each row a point between its bounds; a line at zero."""
    with drawing():
        figure, axes = _forest(x, list(rows))
        for index, (middle, low, high) in enumerate(rows.values()):
            axes.plot([low, high], [index, index], color=SERIES[0], linewidth=2)
            axes.plot([middle], [index], color=SERIES[0], marker="o")
        axes.axvline(0, color=INK, linestyle=":", linewidth=1)
    return figure


def dots(rows: Mapping[str, Sequence[float]], x: str) -> Figure:
    """Draw for each row a point for each of its values, and a line at their mean."""
    with drawing():
        figure, axes = _forest(x, list(rows))
        for index, values in enumerate(rows.values()):
            axes.plot(
                values, [index] * len(values), color=SERIES[0], linestyle="", marker="o", alpha=0.5
            )
            mean = sum(values) / len(values)
            axes.plot([mean, mean], [index - 0.3, index + 0.3], color=SERIES[1], linewidth=2)
    return figure


def matrix(counts: Sequence[Sequence[int]], labels: Sequence[str], x: str, y: str) -> Figure:
    """Draw counts as a square, each shaded by its share of its row."""
    with drawing():
        names = list(map(_short, map(spelled, labels)))
        room, side = 0.1 * max(map(len, names)), max(1.6, 0.42 * len(names))
        figure, axes = _axes(x, y, width=side + room + 0.9, height=side + 0.8 * room + 0.5)
        shares = [[count / max(sum(row), 1) for count in row] for row in counts]
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for index, row in enumerate(counts):
            for column, count in enumerate(row):
                ink = "white" if shares[index][column] > 0.7 else ON_LIGHT
                axes.text(column, index, str(count), ha="center", va="center", color=ink)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.grid(visible=False)
    return figure


def _axes(x: str, y: str, width: float = SIZE[0], height: float = SIZE[1]) -> tuple[Figure, Axes]:
    """Return an empty plot."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=visible(x), ylabel=visible(y))
    axes.grid(visible=True)
    return figure, axes


def _forest(x: str, names: Sequence[str]) -> tuple[Figure, Axes]:
    """Return an empty plot with a row for each name, the first on top; long names take lines."""
    folded = ["\n".join(textwrap.wrap(visible(name), LONGEST)) for name in names]
    lines = max(name.count("\n") + 1 for name in folded)
    figure, axes = _axes(x, "", height=0.9 + max(0.42, 0.2 * lines) * len(names))
    axes.set_yticks(range(len(names)), folded)
    axes.set_ylim(len(names) - 0.5, -0.5)
    return figure, axes


def _legend(figure: Figure, handles: Sequence[Any], names: Sequence[str]) -> None:
    """Write names above the plot, which keeps its height."""
    shown = list(map(_short, names))
    longest = max(map(len, shown), default=0)
    columns = 3 if longest <= 14 else 2 if longest <= 20 else 1
    figure.set_figheight(figure.get_figheight() + NAME_HEIGHT * math.ceil(len(shown) / columns))
    figure.legend(
        handles, shown, loc="outside upper left", ncols=columns, frameon=False, handlelength=2.4
    )


def _short(name: str) -> str:
    """Return a name, cut to leave room for the plot."""
    shown = visible(name)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
