"""Tables for a terminal, whose texts are shown as they are: rich takes brackets for markup."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 10_000
"""Columns where standard output is not a terminal: more than a table has, so that it is not cut."""


def show(*tables: Table) -> None:
    """Print tables, in whole lines where standard output is not a terminal."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    for table in tables:
        console.print(table)


def terminal_table(
    header: Iterable[str], rows: Iterable[Sequence[str | Text]], **settings: Any
) -> Table:
    """Return a table for a terminal, which folds what is too long for it and cuts nothing.

    Args:
        header: the names of the columns.
        rows: the cells.
        settings: of rich's table: its title, caption and box.
    """
    table = Table(**settings)
    for name in header:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return table
