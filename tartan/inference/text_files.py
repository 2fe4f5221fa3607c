"""Files of texts to predict: which columns are read, and each row checked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tartan.batch import LabelKind
from tartan.data.column_names import NAMES, find_text, usual
from tartan.data.formats import open_table
from tartan.data.rows import Row, check_text, check_words
from tartan.data.tables import Table
from tartan.errors import ConfigError, DataError, suggest
from tartan.inference.inputs import Input
from tartan.inference.model import check_pairs, completed


@dataclass(frozen=True)
class TextFile:
    """The rows of a file.

    Attributes:
        path: the file.
        table: its rows.
        columns: the column of each role: `text`, and `pair` where there are pairs; or `tokens`.
    """

    path: Path
    table: Table
    columns: Mapping[str, str]

    @classmethod
    def open(
        cls,
        path: Path,
        given: Mapping[str, str | None],
        kind: LabelKind,
        named: Mapping[str, Any],
        pairs: bool | None = None,
    ) -> "TextFile":
        """Open a file of any format that `data=files` reads.

        Args:
            path: the file.
            given: the columns of `text`, `pair` and `tokens` where they are given.
            kind: what is predicted. Where words are tagged, the words are those of a column
                `tokens`, or of the text, divided at white space.
            named: the columns that the run read, used where the file has them.
            pairs: whether the run's texts were pairs; None where it is not known.

        Raises:
            DataError: the file cannot be read, no column has a usual name, or there is no second
                text for a model of pairs.
            ConfigError: a given column is not in it, or cannot be used.
        """
        if not path.is_file():
            what = "a directory" if path.is_dir() else "no such file"
            raise DataError(f"{path}: {what}: give one file of texts")
        table = open_table([path])
        tagged = kind is LabelKind.TAGS
        tokens = given.get("tokens")
        if tokens is not None:
            _check_tokens(tokens, table, given, tagged, path.name)
        elif tagged and table.typed and given.get("text") is None:
            tokens = _find_tokens(table.columns, named)
        if tokens is not None:
            return cls(path, table, {"tokens": tokens})
        given = completed(given, named, table.columns, ("text", "pair"))
        columns = find_text(table, given, path.name)
        check_pairs(pairs, columns, path.name)
        return cls(path, table, columns)

    def rows(self, tagged: bool) -> Iterator[tuple[Row, Input]]:
        """Yield each row with what is read of it. DataError at the first that cannot be used.

        `tagged`: whether words are tagged.
        """
        for number, row in enumerate(self.table.rows(self.table.columns)):
            place = row.line or f"{self.path.name}, row {number}"
            values = {
                role: self._value(row, column, place) for role, column in self.columns.items()
            }
            if "tokens" in values:
                words = check_words(values["tokens"], "tokens", place)
                yield row, Input(" ".join(words), words=words)
                continue
            text = check_text(values["text"], place)
            pair = (
                check_text(values["pair"], place, "the second text") if "pair" in values else None
            )
            words = tuple(text.split()) if tagged else ()
            yield row, Input(" ".join(words) if tagged else text, pair, words)

    def _value(self, row: Row, column: str, place: str) -> object:
        """Return the value in a column. DataError if the row has none."""
        if column not in row.values:
            raise DataError(
                f"{place}: the row has no field '{column}' ({suggest(column, row.values)}): add it"
            )
        return row.values[column]


def _find_tokens(columns: Sequence[str], named: Mapping[str, Any]) -> str | None:
    """Return the column of words: the run's, or a usual one where its text is not there either."""
    if named.get("tokens") in columns:
        return str(named["tokens"])
    return None if named.get("text") in columns else usual(columns, NAMES[LabelKind.TAGS]["tokens"])


def _check_tokens(
    tokens: str, table: Table, given: Mapping[str, str | None], tagged: bool, name: str
) -> None:
    """ConfigError unless a file's words can be read from the column `tokens`.

    Args:
        tokens: the given column.
        table: the file's rows.
        given: the columns that are given, by role.
        tagged: whether words are tagged.
        name: the file's.
    """
    option = f"data.tokens={tokens}"
    if not tagged:
        raise ConfigError(
            f"{option}: the model does not tag words: name the text, data.text=COLUMN"
        )
    for role in ("text", "pair"):
        if given.get(role) is not None:
            raise ConfigError(f"{option} and data.{role}={given[role]}: give one of the two")
    if tokens not in table.columns:
        raise ConfigError(f"{option}: no such column in {name}: {suggest(tokens, table.columns)}")
    if not table.typed:
        raise ConfigError(
            f"{option}: {name} has no lists of words: name the text, data.text=COLUMN, whose words "
            "are separated by white space"
        )
