"""Which columns hold the texts of rows without labels."""

from collections.abc import Mapping
from dataclasses import dataclass

from tartan.data.column_names import find_text, quoted, usual_pair
from tartan.data.tables import Table


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
