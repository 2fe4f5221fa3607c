"""The texts of rows without labels: which columns hold them, and what they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from tartan.data.column_names import find_text, quoted, usual_pair
from tartan.data.rows import check_text
from tartan.data.tables import Table
from tartan.errors import DataError, suggest


@dataclass(frozen=True)
class TextColumns:
    """Where the texts of rows without labels are looked for.

    Attributes:
        named: the column that is named for these rows; None to look for one.
        task: the task's columns by role; its text comes first where no column is named.
        option: of these rows, `data.unlabelled` or `data.domain`.
        source: where the rows come from, as a map in this option has it.
    """

    named: str | None
    task: Mapping[str, str]
    option: str
    source: Mapping[str, str]

    def of(self, table: Table, place: str) -> list[str]:
        """Return the column of the text, or those of a pair.

        Raises:
            ConfigError: the column that is named is missing.
            DataError: no column has a usual name.
        """
        given: Mapping[str, str | None] = {"text": self.named}
        if self.named is None and self.task.get("text") in table.columns:
            given = {r: self.task[r] for r in ("text", "pair") if self.task.get(r) in table.columns}
            pair = usual_pair(table.columns)
            if pair.get("text") == given["text"]:
                given = pair | given
        return list(find_text(table, given, place, self.assignment).values())

    def assignment(self, role: str, column: str) -> str:
        """Return the option that names a column, as it is typed in a shell."""
        values = {**self.source, role: column}
        listed = ", ".join(f"{name}: {quoted(value)}" for name, value in values.items())
        return f"'{self.option}={{{listed}}}'"


def texts_in(
    table: Table, where: TextColumns, place: str, skip: int = 0
) -> Iterator[Sequence[str]]:
    """Yield the texts of each row: none of a blank one, two of a pair.

    Args:
        table: the rows.
        where: the columns of the texts.
        place: of the table, for error lines.
        skip: rows that are left out at the beginning.

    Raises:
        ConfigError: the column is missing.
        DataError: a row cannot be used.
    """
    columns = where.of(table, place)
    for row in islice(table.rows(columns), skip, None):
        here = row.line or place
        if columns[0] not in row.values:
            raise DataError(
                f"{here}: the row has no field '{columns[0]}' "
                f"({suggest(columns[0], row.values)}): add it"
            )
        values = (row.values[name] for name in columns if name in row.values)
        yield [text for value in values if (text := checked(value, here)) is not None]


def checked(value: object, place: str) -> str | None:
    """Return a text; None if it is blank. DataError if it cannot be used."""
    blank = isinstance(value, str) and not value.strip()
    return None if blank else check_text(value, place)
