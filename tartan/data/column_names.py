"""Which columns of a table hold what: by the names that people usually give them."""

import csv
import re
from collections.abc import Callable, Mapping, Sequence

from hydra.core.override_parser.types import Quote, QuotedString

from tartan.batch import LabelKind
from tartan.data.column_suggestion import suggestion
from tartan.data.rows import ROLES
from tartan.data.tables import Table
from tartan.errors import ConfigError, DataError, shown, suggest

TEXT = (
    "text", "sentence", "content", "review", "comment", "message", "tweet", "post", "document",
    "body", "utterance", "abstract", "description", "query", "question", "headline", "title",
    "input",
)  # fmt: skip
"""Usual names of a text, the most usual first."""
LABEL = (
    "label", "class", "category", "target", "y", "sentiment", "intent", "topic", "emotion",
    "gold_label", "label_text", "labels", "tag", "output",
)  # fmt: skip
NUMBER = ("label", "score", "rating", "target", "y", "stars", "value", "similarity", "labels")
SETS = ("labels", "label", "categories", "classes", "tags", "topics", "genres", "emotions", *LABEL)
PAIRS = (
    ("text", "text_pair"), ("sentence1", "sentence2"), ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"), ("text1", "text2"), ("text_1", "text_2"), ("text_a", "text_b"),
    ("premise", "hypothesis"), ("question1", "question2"), ("query", "passage"),
)  # fmt: skip
"""Usual names of the two texts of a pair."""
NAMES: Mapping[LabelKind, Mapping[str, Sequence[str]]] = {
    LabelKind.CLASS: {"text": TEXT, "label": LABEL},
    LabelKind.NUMBER: {"text": TEXT, "label": NUMBER},
    LabelKind.SETS: {"text": TEXT, "label": SETS},
    LabelKind.TAGS: {
        "tokens": ("tokens", "words", "token", "sentence"),
        "tags": ("tags", "ner_tags", "labels", "pos_tags", "chunk_tags", "tag", "ner"),
    },
}
"""Usual names by the kind of labels and the role of a column."""


def find_columns(
    table: Table, given: Mapping[str, str | None], labels: LabelKind, place: str
) -> dict[str, str]:
    """Return the column of each role in rows with labels of a kind.

    Args:
        table: the rows.
        given: by role, the column that an option names, or None to look for a usual name. The
            option of a role is `data.<role>`.
        labels: the kind of labels.
        place: the file, for error lines.

    Returns:
        Names of columns by role; the label's, or the tags', is `ROLES[labels][-1]`. `pair` is
        there where the table has a second text under a usual name, or where it is given.

    Raises:
        ConfigError: a given column is not in the table, or is given twice.
        DataError: no column of a role has a usual name.
    """
    return _find(table, given, ROLES[labels], NAMES[labels], place, assignment)


def find_text(
    table: Table,
    given: Mapping[str, str | None],
    place: str,
    assign: Callable[[str, str], str] | None = None,
) -> dict[str, str]:
    """Return the columns of `text`, and `pair` if there is one, of rows without labels.

    Arguments and errors are those of `find_columns`; `assign` returns the option that names the
    column of a role, for error lines: `assignment` by default.
    """
    return _find(table, given, ("text",), {"text": TEXT}, place, assign or assignment)


def _find(
    table: Table,
    given: Mapping[str, str | None],
    roles: Sequence[str],
    names: Mapping[str, Sequence[str]],
    place: str,
    assign: Callable[[str, str], str],
) -> dict[str, str]:
    """Return the column of each role."""
    for role, column in given.items():
        if column is not None and column not in table.columns:
            raise _no_column(role, column, table, place, assign)
    chosen = {role: column for role in (*roles, "pair") if (column := given.get(role)) is not None}
    check_distinct(chosen, assign)
    if "text" in roles and "text" not in chosen and "pair" not in chosen:
        taken = set(chosen.values())
        chosen = usual_pair([name for name in table.columns if name not in taken]) | chosen
    for role in roles:
        taken = set(chosen.values())
        free = [column for column in table.columns if column not in taken]
        if role not in chosen:
            found = usual(free, names[role])
            if found is None:
                raise _unusual(table, [r for r in roles if r not in chosen], names, place, assign)
            chosen[role] = found
    return chosen


def check_distinct(columns: Mapping[str, str], assign: Callable[[str, str], str]) -> None:
    """Raise ConfigError if two roles have one column.

    Args:
        columns: by role.
        assign: returns the option that names the column of a role.
    """
    roles: dict[str, str] = {}
    for role, column in columns.items():
        if (other := roles.setdefault(column, role)) != role:
            raise ConfigError(
                f"{assign(other, column)} {assign(role, column)}: one column is given twice: name "
                "two columns"
            )


def _no_column(
    role: str, column: str, table: Table, place: str, assign: Callable[[str, str], str]
) -> ConfigError:
    """Return the error for a column that an option names and a table lacks."""
    listed = several(column)
    if role == "text" and len(listed) > 1 and set(listed) & set(table.columns):
        two = f"{assign('text', listed[0])} {assign('pair', listed[1])}"
        return ConfigError(
            f"data.text names one column, got {len(listed)}: {two} reads two as a pair; join more "
            "of them in the file"
        )
    return ConfigError(
        f"{assign(role, column)}: no such column in {place}: {suggest(column, table.columns)}"
    )


def usual(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the column with the most usual name; None if no name is usual.

    >>> usual(["id", "Review Text", "Text"], TEXT), usual(["id", "texts"], TEXT)
    ('Text', None)
    """
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(normal(column), column)
    return next((by_name[name] for name in names if name in by_name), None)


def usual_pair(columns: Sequence[str]) -> dict[str, str]:
    """Return the columns of the two texts of a pair, if there are some with usual names.

    >>> usual_pair(["Premise", "hypothesis", "label"]), usual_pair(["text", "label"])
    ({'text': 'Premise', 'pair': 'hypothesis'}, {})
    """
    by_name = {normal(column): column for column in reversed(columns)}
    for first, second in PAIRS:
        if first in by_name and second in by_name:
            return {"text": by_name[first], "pair": by_name[second]}
    return {}


def normal(column: str) -> str:
    """Return a column's name without case, and with one underscore for spaces and signs.

    >>> normal("  Sentence-1 ")
    'sentence_1'
    """
    return re.sub(r"\W+", "_", column.casefold().strip())


def quoted(text: str) -> str:
    """Return a text as a value in a list or map of Hydra's, inside single quotes of a shell.

    >>> print(quoted("dd/more.csv"), quoted("my text"))
    dd/more.csv "my text"
    """
    if re.fullmatch(r"/?[^\W\d][\w./-]*", text, re.ASCII):
        return text
    return QuotedString(text, Quote.double).with_quotes().replace("'", "'\\''")


def several(value: str) -> list[str]:
    """Return the names in a list as it is typed.

    >>> several('[Subject,"Text (long)"]'), several("a, b"), several("text")
    (['Subject', 'Text (long)'], ['a', 'b'], ['text'])
    """
    inner = value[1:-1] if value[:1] == "[" and value[-1:] == "]" else value
    return [name.strip("' ") for name in next(csv.reader([inner], skipinitialspace=True), [])]


def assignment(role: str, column: str) -> str:
    """Return the option that names a column, as it is typed in a shell.

    >>> print(assignment("text", "body"), assignment("label", "my class"))
    data.text=body 'data.label="my class"'
    """
    if re.fullmatch(r"[^\W\d][\w.-]*", column, re.ASCII):
        return f"data.{role}={column}"
    return f"'data.{role}={quoted(column)}'"


def _unusual(
    table: Table,
    missing: Sequence[str],
    names: Mapping[str, Sequence[str]],
    place: str,
    assign: Callable[[str, str], str],
) -> DataError:
    """Return the error for roles without a usual name, with a suggestion from the content."""
    texts, labels = suggestion(table)
    options: list[str] = []
    for role in missing:
        if role == "label" and len(labels) > 1:
            each = (f"{assign(role, name)} ({some})" for name, some in labels.items())
            options.append(f"{'and ' if options else ''}one of {', '.join(each)}")
        else:
            found = {"text": texts, "label": list(labels)}.get(role)
            options.append(assign(role, found[0] if found else "COLUMN"))
    listed = ", ".join(f"'{shown(column)}'" for column in table.columns)
    what = " and no ".join(f"{role} ({', '.join(names[role][:4])}, ...)" for role in missing)
    return DataError(
        f"{place}: no {what} among the columns {listed}: name the column"
        f"{'s' if len(missing) > 1 else ''}, for example {' '.join(options)}"
    )
