"""A task from a directory of JSON lines: train.jsonl, dev.jsonl and test.jsonl."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tartan.batch import LabelKind
from tartan.data.column_names import check_distinct
from tartan.data.formats import is_readable
from tartan.data.json_file import parse
from tartan.data.lines import expand, read_lines, read_passages
from tartan.data.rows import PAIR, ROLES, Example, check_row
from tartan.data.task import SPLITS, Task, build_task
from tartan.errors import ConfigError, DataError, suggest


@dataclass
class JsonlOptions:
    """Options of `source: jsonl`.

    Attributes:
        dir: the directory of train.jsonl, dev.jsonl and test.jsonl; optionally also of
            unlabelled.txt (more text of the task) and domain.txt (other text of its domain), one
            passage a line.
        text_field: the field of a row that holds its text.
        label_field: the field of a row that holds its label: a string, integer or boolean, or the
            number that a regression predicts.
        pair_field: the field of a row that holds its second text; `text_pair` need not be there.
        tokens_field: where words are tagged, the field of a row that holds its list of words.
        tags_field: where words are tagged, the field of a row that holds its list of tags.
    """

    dir: str | None = None
    text_field: str = "text"
    label_field: str = "label"
    pair_field: str = PAIR
    tokens_field: str = "tokens"
    tags_field: str = "tags"


def load_jsonl(
    options: JsonlOptions, labels: LabelKind = LabelKind.CLASS, splits: Sequence[str] = SPLITS
) -> Task:
    """Read a task; its arguments are those of `load_task`.

    Raises:
        ConfigError: no directory is given, or one field is given twice.
        DataError: a file is missing or a line cannot be used; names the file and line.
    """
    if not options.dir:
        raise ConfigError(
            "data.dir is not set: give the directory of train.jsonl, dev.jsonl and test.jsonl "
            "with data.dir=..."
        )
    roles = (*ROLES[labels], "pair") if _named_pair(options, labels) else ROLES[labels]
    fields = {role: getattr(options, f"{role}_field") for role in roles}
    check_distinct(fields, "data.{}_field={}".format)
    directory = expand(options.dir)
    check_files(directory)
    paths = {split: directory / f"{split}.jsonl" for split in splits}
    check_layout(directory, paths.values())
    unlabelled, domain = directory / "unlabelled.txt", directory / "domain.txt"
    return build_task(
        directory.resolve().name,
        {split: read_examples(path, options, labels) for split, path in paths.items()},
        unlabelled=read_passages(unlabelled) if os.path.lexists(unlabelled) else (),
        domain=read_passages(domain) if os.path.lexists(domain) else None,
        kind=labels,
    )


def check_files(directory: Path) -> None:
    """Raise DataError where data=files reads what data=jsonl does not: a file, or other formats."""
    if directory.is_file():
        raise DataError(
            f"data.dir={directory} is a file: read it with data=files data.path={directory}"
        )
    try:
        found = sorted(path.name for path in directory.iterdir() if is_readable(path))
    except (OSError, ValueError):
        return  # as `check_layout` reports it
    rows = [name for name in found if not name.endswith((".jsonl", ".txt"))]
    if rows and not any(name.endswith(".jsonl") for name in found):
        raise DataError(
            f"{directory} has no train.jsonl, but {rows[0]}: read it with data=files "
            f"data.path={directory}"
        )


def check_layout(directory: Path, paths: Iterable[Path]) -> None:
    """Raise DataError unless the directory and its files exist; dangling links count as files."""
    try:
        found = sorted(path.name for path in directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"{directory}: no such directory: set data.dir=... to the task's directory"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", error)
        raise DataError(f"{directory}: cannot be read ({reason}): check the directory") from None
    for path in paths:
        if path.name not in found:
            others = ", ".join(name for name in found if name.endswith(".jsonl")) or "none"
            raise DataError(
                f"{path}: no such file: add it, or rename one of the directory's "
                f".jsonl files ({others})"
            )


def read_examples(path: Path, options: JsonlOptions, labels: LabelKind) -> Iterator[Example]:
    """Yield the rows of one file. DataError at the first line that cannot be used."""
    named = _named_pair(options, labels)
    taken = {getattr(options, f"{role}_field") for role in ROLES[labels]}
    for place, line in read_lines(path):
        row = parse(line, place)
        roles = ROLES[labels]
        if named or ("text" in roles and PAIR in row.keys() - taken):
            roles = (*roles, "pair")
        values = {role: _field(row, role, options, place) for role in roles}
        yield check_row(values, labels, place)


def _named_pair(options: JsonlOptions, labels: LabelKind) -> bool:
    """Return whether rows have texts, and an option names the field of the second one."""
    return "text" in ROLES[labels] and options.pair_field != PAIR


def _field(row: dict[str, Any], role: str, options: JsonlOptions, place: str) -> object:
    """Return the value of a row's field for a role; `text_field` names the one for `text`."""
    field = getattr(options, f"{role}_field")
    if field not in row:
        raise DataError(
            f"{place}: the row has no field '{field}' ({suggest(field, row)}): "
            f"add it, or set data.{role}_field=..."
        )
    return row[field]
