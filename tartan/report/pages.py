"""Templates to pages: HTML and Markdown in which every text from data is escaped."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from rich.table import Table as RichTable

from tartan.errors import TartanError, with_type
from tartan.files import write_text
from tartan.report.terminal import terminal_table
from tartan.report.text import cell, code, cut, markdown, visible
from tartan.sizes import amount, counted
from tartan.spelling import spelled


@dataclass(frozen=True)
class Table:
    """A table that pages and terminals show; its first column names the row.

    Attributes:
        title: what it shows.
        note: how to read its figures.
        header: the columns' names.
        rows: their cells.
        words: names of columns with words, the first column excluded; the others hold figures.
    """

    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Sequence[str] = ()

    def rich(self, **settings: Any) -> RichTable:
        """Return the table for a terminal; `settings` are those of rich's table."""
        return terminal_table(self.header, self.rows, title=self.title, **settings)


def write_page(path: Path, template: str, context: Mapping[str, Any]) -> None:
    """Write a page atomically.

    Args:
        path: where.
        template: the name of a template; one that ends in `.html` escapes for HTML, others for
            Markdown.
        context: what it shows.
    """
    write_text(path, environment(template.endswith(".html")).get_template(template).render(context))


@cache
def environment(html: bool) -> Environment:
    """Return the templates' environment, which escapes the texts in them."""
    made = Environment(
        loader=PackageLoader("tartan.report"),
        autoescape=html,
        finalize=_shown if html else _plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        f.__name__: f for f in (amount, counted, cut, duration, figure, spelled, thousands)
    }
    made.filters["code"] = lambda text: Markup(code(text))  # Markdown's: it needs no more escaping
    return made


@contextmanager
def spared(page: str) -> Iterator[None]:
    """Through a block, report a failure to make a page in one line: a run or study has its results.

    Errors that a user can fix, such as a full disk, are raised.
    """
    try:
        yield
    except TartanError:
        raise
    except Exception as error:
        print(
            f"tartan: {page} was not written ({with_type(error)}). All results are complete; give "
            "the same command to try again",
            file=sys.stderr,
        )


def write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write a table as CSV (RFC 4180), atomically.

    Args:
        path: where.
        records: its rows; the columns are those of all rows, in the order in which they appear.
            Texts that a spreadsheet would take for a formula are escaped (`cell`).
    """
    columns = list(dict.fromkeys(column for record in records for column in record))
    rows: list[list[Any]] = [list(columns)]
    rows += [[record.get(column) for column in columns] for record in records]
    write_text(path, "".join(",".join(map(cell, row)) + "\r\n" for row in rows))


def figure(value: float | None, digits: int = 4, sign: str = "") -> str:
    """Return a number with some digits behind the point; a dash for None.

    >>> figure(0.98765), figure(0.5, 2, "+"), figure(None)
    ('0.9877', '+0.50', '-')
    """
    return "-" if value is None else f"{value:{sign}.{digits}f}"


def duration(seconds: float) -> str:
    """Return seconds as hours, minutes and seconds.

    >>> duration(42.31), duration(3725)
    ('42.3 s', '1 h 2 min 5 s')
    """
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min {rest} s" if hours else f"{minutes} min {rest} s"


def thousands(count: int) -> str:
    """Return a count with its thousands apart.

    >>> thousands(12345)
    '12\u202f345'
    """
    return f"{count:,}".replace(",", "\u202f")


def _shown(value: Any) -> Any:
    """Return the value of an expression of an HTML template, before it is escaped."""
    return value if isinstance(value, Markup) else visible(value)


def _plain(value: Any) -> Any:
    """Return the value of an expression of a Markdown template, escaped."""
    return value if isinstance(value, Markup) else markdown(value)
