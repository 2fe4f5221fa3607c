"""A plot, drawn once and shown three ways: as PNG, as SVG, and inside a page.

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
from matplotlib.figure import Figure

from tartan.files import write_bytes, write_text, writing
from tartan.report.text import visible

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

INK = "#101214"
"""Colour of axes and text; a page replaces it by its own."""
SERIES = ("#0072b2", "#d55e00", "#009e73", "#b05a8c", "#7a6a00", "#56799c")
"""Colours of lines, in turn: distinct in the common forms of colour blindness."""
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
_NOTHING: Mapping[str, None] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
"""Metadata of an SVG: none, so that the same plot is the same file."""


@dataclass(frozen=True)
class Plot:
    """A plot on a page.

    Attributes:
        name: of its files in figures/.
        title: what it shows.
        drawn: the plot.
        told: what it shows, in words, for screen readers.
    """

    name: str
    title: str
    drawn: Figure
    told: str

    @cached_property
    def svg(self) -> str:
        """Return the plot as an SVG element, without a background."""
        file = io.StringIO()
        with drawing():
            _place(self.drawn)
            self.drawn.savefig(file, format="svg", facecolor="none", metadata=dict(_NOTHING))
        drawn = file.getvalue()
        return drawn[drawn.index("<svg") :]

    @property
    def on_white(self) -> str:
        """Return the plot as an SVG file on white, legible on a dark page too."""
        return self.svg.replace("<svg ", '<svg style="background: white" ', 1)

    @property
    def inline(self) -> Markup:
        """Return the plot for a page."""
        return Markup(inline(self.svg, self.name, str(escape(visible(self.told)))))


def save(plots: Sequence[Plot], directory: Path) -> None:
    """Write plots as PNG and SVG, on white. StorageError where they cannot be written."""
    with writing(directory), drawing():
        directory.mkdir(exist_ok=True)
        for plot in plots:
            place = directory / plot.name
            write_text(place.with_suffix(".svg"), plot.on_white)
            image = io.BytesIO()
            plot.drawn.savefig(image, format="png", dpi=150, facecolor="white")
            write_bytes(place.with_suffix(".png"), image.getvalue())


def inline(svg: str, name: str, label: str) -> str:
    """Return an SVG element that can be embedded in a page.

    Args:
        svg: as a plot has it.
        name: its name in the page, a word: its ids begin with it.
        label: what a screen reader reads instead; escaped text.
    """
    svg = re.sub(r"<[^>]*>", lambda tag: _at_home(tag[0], name), svg)
    head, _, rest = svg.partition(">")
    shape = re.search(r"viewBox=\"[^\"]*\"", head)
    assert shape, "matplotlib always writes a viewBox"
    return f'<svg {shape[0]} role="img" aria-label="{label}">{rest}'


def _at_home(tag: str, name: str) -> str:
    """Return a tag of an SVG for a page: with ids of its own, and the page's colours."""
    tag = re.sub(r"(\bid=\"|url\(#|href=\"#)", rf"\g<1>{name}-", tag).replace(INK, "currentColor")
    for number, colour in enumerate(SERIES, start=1):
        tag = tag.replace(colour, f"var(--series-{number})")
    return tag


def _place(figure: Figure) -> None:
    """Compute a plot's layout once, not each time it is drawn."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


@contextmanager
def drawing() -> Iterator[None]:
    """Apply the style; letters that the font lacks are drawn as boxes, without a warning."""
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
