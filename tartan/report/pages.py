"""Templates to pages: HTML and Markdown in which every text of others is escaped."""

import csv
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tartan.errors import TartanError
from tartan.files import write_text
from tartan.report.text import code, cut, markdown, visible


def write_page(path: Path, template: str, context: Mapping[str, Any]) -> None:
    """Write a page whole.

    Args:
        path: where.
        template: the name of a template; one that ends in `.html` escapes for HTML, others for
            Markdown.
        context: what it shows.
    """
    write_text(path, environment(template.endswith(".html")).get_template(template).render(context))


@cache
def environment(html: bool) -> Environment:
    """Where templates come from, and what escapes the texts in them."""
    made = Environment(
        loader=PackageLoader("tartan.report"),
        autoescape=html,
        finalize=_shown if html else _plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {f.__name__: f for f in (cut, duration, figure, size, thousands)}
    made.filters["code"] = lambda text: Markup(code(text))  # Markdown's: it needs no more escaping
    return made


@contextmanager
def spared(page: str) -> Iterator[None]:
    """Say in a line that a page was not made, where making it fails: what it shows is kept.

    What a person can mend, a full disk say, is raised as ever.
    """
    try:
        yield
    except TartanError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        print(
            f"tartan: {page} was not made ({reason}): all else is kept; give the same command to "
            "try again",
            file=sys.stderr,
        )


def write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write a table as CSV (RFC 4180), whole; its columns are those of all rows, as they come."""
    columns = list(dict.fromkeys(column for record in records for column in record))
    file = io.StringIO()
    writer = csv.DictWriter(file, columns)
    writer.writeheader()
    writer.writerows(records)
    write_text(path, visible_lines(file.getvalue()))


def visible_lines(text: str) -> str:
    """A text whose control characters are replaced, line ends excepted."""
    return "\r\n".join(map(visible, text.split("\r\n")))


def figure(value: float | None, digits: int = 4, sign: str = "") -> str:
    """A figure with some digits behind the point; a dash for what is not known.

    >>> figure(0.98765), figure(0.5, 2, "+"), figure(None)
    ('0.9877', '+0.50', '-')
    """
    return "-" if value is None else f"{value:{sign}.{digits}f}"


def duration(seconds: float) -> str:
    """Seconds as a person reads them.

    >>> duration(42.31), duration(3725)
    ('42.3 s', '1 h 2 min 5 s')
    """
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min {rest} s" if hours else f"{minutes} min {rest} s"


def size(count: float) -> str:
    """Bytes as a person reads them.

    >>> size(834_000_000)
    '834 MB'
    """
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def thousands(count: int) -> str:
    """A count, its thousands apart.

    >>> thousands(12345)
    '12\u202f345'
    """
    return f"{count:,}".replace(",", "\u202f")


def _shown(value: Any) -> Any:
    """What an expression of an HTML template gives, before it is escaped."""
    return value if isinstance(value, Markup) else visible(value)


def _plain(value: Any) -> Any:
    """What an expression of a Markdown template gives, escaped."""
    return value if isinstance(value, Markup) else markdown(value)
