"""Tables for a terminal, whose texts are shown as they are: rich takes brackets for markup."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text


def terminal_table(
    header: Iterable[str], rows: Iterable[Sequence[str | Text]], **settings: Any
) -> Table:
    """Return a table for a terminal.

    Args:
        header: the names of the columns.
        rows: the cells.
        settings: of rich's table: its title, caption and box.
    """
    table = Table(**settings)
    for name in header:
        table.add_column(Text(name))
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return table
