"""Which columns of a table may hold the texts and the labels, by their content."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

from tartan.data.cells import is_number
from tartan.data.tables import Table
from tartan.errors import shown

LOOKED_AT = 200
"""Rows of which a suggestion is made."""
NAMED = 3
"""Columns that may be the label's, and values of each, that a message names at most."""


def suggestion(table: Table) -> tuple[list[str], dict[str, str]]:
    """Return columns that may hold texts and labels: long values, and values that repeat.

    Only for messages: no choice is made by it.

    Returns:
        The column of the text, if there is one, and up to `NAMED` columns that may be the label's,
        each with some of its values.
    """
    rows = [row.values for row in islice(table.rows(table.columns), LOOKED_AT)]
    values = {column: [row.get(column) for row in rows] for column in table.columns}
    longest = max(values, key=lambda column: _length(values[column]), default=None)
    texts = [longest] if longest is not None and _length(values[longest]) else []
    counts = {
        column: Counter(str(cell) for cell in cells if cell is not None and str(cell).strip())
        for column, cells in values.items()
        if column != longest
    }
    counts = {column: found for column, found in counts.items() if len(found) > 1}
    repeated = [name for name, found in counts.items() if 2 * len(found) <= found.total()]
    # Labels are words more often than numbers, and few.
    ranked = sorted(
        repeated or counts, key=lambda name: (all(map(is_number, counts[name])), len(counts[name]))
    )
    return texts, {name: _some(counts[name]) for name in ranked[: NAMED if repeated else 1]}


def _some(counts: Counter[str]) -> str:
    """Return the most frequent values."""
    more = ", ..." if len(counts) > NAMED else ""
    return ", ".join(shown(value) for value, _ in counts.most_common(NAMED)) + more


def _length(cells: Sequence[Any]) -> float:
    """Return the mean length of the strings among values."""
    return sum(len(cell) for cell in cells if isinstance(cell, str)) / max(len(cells), 1)
