"""Plots, drawn once and shown three ways: as PNG, as SVG, and inside a page.

Inside a page a plot has no background and takes its colours from the page, dark or light.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tartan.files import writing
from tartan.report.curves import Curve
from tartan.report.text import visible

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

INK = "#101214"
"""Axes and text; a page has its own colour in its place."""
SERIES = ("#0072b2", "#d55e00", "#009e73", "#b05a8c", "#7a6a00", "#56799c")
"""Of lines, in turn: told apart by most who see colours otherwise, as lines' dashes are by all."""
DASHES = ("-", "--", "-.", ":")
SIZE = (4.8, 3.2)
"""Inches; the text of a plot this narrow can be read on a phone."""
STYLE: "dict[RcKeyType, Any]" = {
    "font.size": 10,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "tartan",  # the same plot is the same file
    "text.parse_math": False,  # a name may hold a dollar sign
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
}
Band = tuple[Sequence[float], Sequence[float]]
"""Lower and upper bounds around a curve."""
_NOTHING: Mapping[str, None] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
"""Metadata that an SVG is to have: none, so that it depends on what it shows alone."""


@dataclass(frozen=True)
class Plot:
    """A plot on a page.

    Attributes:
        name: of its files in figures/.
        title: what it shows.
        drawn: the plot.
        told: what it shows, in words, for those who do not see it.
    """

    name: str
    title: str
    drawn: Figure
    told: str

    @cached_property
    def svg(self) -> str:
        """The plot as an SVG element, without a background."""
        file = io.StringIO()
        with _drawing():
            _place(self.drawn)
            self.drawn.savefig(file, format="svg", facecolor="none", metadata=dict(_NOTHING))
        drawn = file.getvalue()
        return drawn[drawn.index("<svg") :]

    @property
    def inline(self) -> Markup:
        """The plot for a page."""
        return Markup(inline(self.svg, self.name, str(escape(visible(self.told)))))


def lines(
    curves: Mapping[str, Curve],
    x: str,
    y: str,
    marks: Mapping[str, float] | None = None,
    bands: Mapping[str, Band] | None = None,
) -> Figure:
    """Curves with their names.

    Args:
        curves: by name.
        x: what the horizontal axis shows.
        y: what the vertical axis shows.
        marks: names of places on the horizontal axis.
        bands: what is shaded around curves, by name.
    """
    with _drawing():
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
    """Points, with the line on which both coordinates are equal."""
    with _drawing():
        figure, axes = _axes(x, y)
        ends = [min(*points.x, *points.y), max(*points.x, *points.y)]
        axes.plot(ends, ends, color=INK, linestyle=":", linewidth=1)
        axes.plot(points.x, points.y, color=SERIES[0], linestyle="", marker="o", alpha=0.5)
    return figure


def intervals(rows: Mapping[str, tuple[float, float, float]], x: str) -> Figure:
    """A forest plot: for each row a point between its lower and upper bound; a line at zero."""
    with _drawing():
        figure, axes = _axes(x, "", height=0.9 + 0.42 * len(rows))
        for place, (middle, low, high) in enumerate(rows.values()):
            axes.plot([low, high], [place, place], color=SERIES[0], linewidth=2)
            axes.plot([middle], [place], color=SERIES[0], marker="o")
        axes.axvline(0, color=INK, linestyle=":", linewidth=1)
        _rows(axes, list(rows))
    return figure


def dots(rows: Mapping[str, Sequence[float]], x: str) -> Figure:
    """For each row a point for each of its values, and a line at their mean."""
    with _drawing():
        figure, axes = _axes(x, "", height=0.9 + 0.42 * len(rows))
        for place, values in enumerate(rows.values()):
            axes.plot(
                values, [place] * len(values), color=SERIES[0], linestyle="", marker="o", alpha=0.5
            )
            mean = sum(values) / len(values)
            axes.plot([mean, mean], [place - 0.3, place + 0.3], color=SERIES[1], linewidth=2)
        _rows(axes, list(rows))
    return figure


def matrix(counts: Sequence[Sequence[int]], labels: Sequence[str], x: str, y: str) -> Figure:
    """Counts in a square, each shaded by its share of its row."""
    with _drawing():
        names = list(map(_short, labels))
        room, side = 0.09 * max(map(len, names)), max(1.6, 0.42 * len(names))
        figure, axes = _axes(x, y, width=side + room + 0.6, height=side + 0.8 * room + 0.5)
        shares = [[count / max(sum(row), 1) for count in row] for row in counts]
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for place, row in enumerate(counts):
            for column, count in enumerate(row):
                ink = "white" if shares[place][column] > 0.7 else INK
                axes.text(column, place, str(count), ha="center", va="center", color=ink)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.grid(visible=False)
    return figure


def save(plots: Sequence[Plot], directory: Path) -> None:
    """Write plots as PNG and SVG, on white. StorageError where they cannot be written."""
    with writing(directory), _drawing():
        directory.mkdir(exist_ok=True)
        for plot in plots:
            place = directory / plot.name
            svg = plot.svg.replace("<svg ", '<svg style="background: white" ', 1)
            place.with_suffix(".svg").write_text(svg, encoding="utf-8")
            plot.drawn.savefig(place.with_suffix(".png"), dpi=150, facecolor="white")


def inline(svg: str, name: str, label: str) -> str:
    """An SVG element as a page can hold it.

    Args:
        svg: as a plot has it.
        name: its name in the page, a word: its ids begin with it.
        label: what a screen reader says in its place; text that is already escaped.
    """
    svg = re.sub(r"<[^>]*>", lambda tag: _at_home(tag[0], name), svg)
    head, _, rest = svg.partition(">")
    shape = re.search(r"viewBox=\"[^\"]*\"", head)
    assert shape, "matplotlib says how large a plot is"
    return f'<svg {shape[0]} role="img" aria-label="{label}">{rest}'


def _at_home(tag: str, name: str) -> str:
    """A tag of an SVG as it is in a page: ids of its own, the page's colours."""
    tag = re.sub(r"(\bid=\"|url\(#|href=\"#)", rf"\g<1>{name}-", tag).replace(INK, "currentColor")
    for number, colour in enumerate(SERIES, start=1):
        tag = tag.replace(colour, f"var(--series-{number})")
    return tag


def _place(figure: Figure) -> None:
    """Find once where everything in a plot stands, not each time it is drawn."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def _axes(x: str, y: str, width: float = SIZE[0], height: float = SIZE[1]) -> tuple[Figure, Axes]:
    """An empty plot."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=visible(x), ylabel=visible(y))
    axes.grid(visible=True)
    return figure, axes


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """Names on the vertical axis, the first on top."""
    axes.set_yticks(range(len(names)), list(map(_short, names)))
    axes.set_ylim(len(names) - 0.5, -0.5)


def _legend(figure: Figure, handles: Sequence[Any], names: Sequence[str]) -> None:
    """Names above the plot, where they hide nothing."""
    shown = list(map(_short, names))
    columns = 2 if max(map(len, shown), default=0) > 14 else 3
    figure.legend(
        handles, shown, loc="outside upper left", ncols=columns, frameon=False, handlelength=2.4
    )


def _short(name: str, length: int = 28) -> str:
    """A name that leaves room for the plot."""
    shown = visible(name)
    return shown if len(shown) <= length else f"{shown[: length - 1]}…"


@contextmanager
def _drawing() -> Iterator[None]:
    """The style; a name that the font has no letters for is drawn with boxes, and no warning."""
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
