"""A task from the Hugging Face hub, or from a directory of data files."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple

import datasets

from tartan.batch import LabelKind
from tartan.data.column_names import check_distinct
from tartan.data.csv_dialect import SEPARATORS
from tartan.data.hub_files import load_splits
from tartan.data.rows import PAIR, ROLES, Row
from tartan.data.table_rows import Selected, read_numbered
from tartan.data.tables import Table, declared_names
from tartan.data.task import SPLITS, Task, build_task
from tartan.data.text_source import (
    StreamOptions,
    TextSource,
    domain_corpus,
    read_texts,
    text_sources,
)
from tartan.errors import ConfigError, suggest
from tartan.quiet import quiet


@dataclass
class HubSplits:
    """Which of the dataset's splits serve as what: a name, or a slice such as `train[:90%]`.

    Attributes:
        train: trained on.
        dev: chooses the model, and the weights of the objectives.
        test: reported.
    """

    train: str = "train"
    dev: str = "validation"
    test: str = "test"


@dataclass
class HubOptions(StreamOptions):
    """Options of `source: hub`.

    Attributes:
        name: the dataset's id on the hub, or a local directory: data files, or what
            `save_to_disk` wrote.
        config_name: which of the dataset's configurations; null for its only one.
        text_column: the column that holds the text.
        label_column: the column that holds the label: class ids, strings, integers or booleans, or
            the number that a regression predicts.
        pair_column: the column that holds the second text; `text_pair` need not be there.
        tokens_column: where words are tagged, the column that holds each row's list of words.
        tags_column: where words are tagged, the column that holds its list of tags: ids or strings.
        splits: which splits serve as train, dev and test.
        unlabelled: more text of the task: a file or directory; or {hub: ..., config_name: ...,
            split: ..., text: ...}, or {path: ..., text: ...}; or a list of these.
        domain: other text of the task's domain, likewise.
    """

    name: str | None = None
    config_name: str | None = None
    text_column: str = "text"
    label_column: str = "label"
    pair_column: str = PAIR
    tokens_column: str = "tokens"
    tags_column: str = "tags"
    splits: HubSplits = field(default_factory=HubSplits)
    unlabelled: Any = None
    domain: Any = None


class Span(NamedTuple):
    """Rows of a table from `start` up to `stop`; None for its end."""

    table: Table
    start: int
    stop: int | None


def load_hub(
    options: HubOptions, labels: LabelKind = LabelKind.CLASS, splits: Sequence[str] = SPLITS
) -> Task:
    """Read a task; its arguments are those of `load_task`. Code of a dataset's own is never run.

    Raises:
        ConfigError: no name is given, or a split or column is not in the dataset.
        DataError: the dataset cannot be loaded, or a row cannot be used.
    """
    if not options.name:
        raise ConfigError(
            "data.name is not set: give the dataset's id or its directory with data.name=..."
        )
    with quiet():
        found = load_splits(options.name, options.config_name)
        wanted = {split: getattr(options.splits, split) for split in splits}
        parts = {s: select(found, spec, f"data.splits.{s}") for s, spec in wanted.items()}
        columns = {
            split: find_columns(part[0].table, options, labels) for split, part in parts.items()
        }
        names = declared_names(
            parts["train"][0].table.features, columns["train"][ROLES[labels][-1]]
        )
        places = {split: f"{options.name} {spec}" for split, spec in wanted.items()}
        rows = {
            split: selected(part, columns[split], places[split], split == "train")
            for split, part in parts.items()
        }
        examples = {
            split: (example for _, example in read_numbered(its, labels))
            for split, its in rows.items()
        }
        domain, streaming = domain_corpus(_sources(options, "domain"), options, columns["train"])
        return build_task(
            options.name.rstrip("/").rpartition("/")[2],
            examples,
            unlabelled=read_texts(
                _sources(options, "unlabelled"), "data.unlabelled", columns["train"]
            ),
            domain=domain,
            streaming=streaming,
            order=names,
            kind=labels,
        )


def _sources(options: HubOptions, name: str) -> list[TextSource]:
    """Return the sources of texts without labels; none if there are no such texts."""
    given = getattr(options, name)
    return [] if given is None else text_sources(given, f"data.{name}")


def select(found: Mapping[str, Table], spec: str, option: str) -> Sequence[Span]:
    """Return the rows that a split's name or slice stands for, `train[:90%]+extra` included.

    Args:
        found: the dataset's splits.
        spec: what to select.
        option: the option that names it, for error lines.

    Raises:
        ConfigError: the dataset has no such split, or the slice cannot be read.
    """
    names = re.findall(r"(?:^|\+)\s*([^\[+\s]*)", spec)
    for name in names:
        if name not in found:
            raise ConfigError(f"{option}={spec}: no split '{name}': {suggest(name, found)}")
    if spec in found:
        return [Span(found[spec], 0, None)]
    try:
        spans = datasets.ReadInstruction.from_spec(spec).to_absolute(
            {name: found[name].size() for name in names}
        )
    except (ValueError, AssertionError) as error:
        raise ConfigError(
            f"{option}={spec} is not a split or slice ({error}): write it like train[:90%]"
        ) from None
    return [Span(found[span.splitname], span.from_, span.to) for span in spans]


def find_columns(table: Table, options: HubOptions, labels: LabelKind) -> dict[str, str]:
    """Return the column of each role in rows with labels of a kind. ConfigError if one is missing.

    Returns:
        Names of columns by role; the label's, or the tags', is `ROLES[labels][-1]`.
    """
    roles = ROLES[labels]
    free = set(table.columns) - {getattr(options, f"{role}_column") for role in roles}
    if "text" in roles and (options.pair_column in free or options.pair_column != PAIR):
        roles = ("pair", *roles)
    columns = {role: getattr(options, f"{role}_column") for role in roles}
    for role, column in columns.items():
        if column not in table.columns:
            separated = _separated(table, column)
            raise ConfigError(
                f"data.{role}_column={column}: no such column in {options.name}: "
                f"{separated or suggest(column, table.columns)}"
            )
    check_distinct(columns, "data.{}_column={}".format)
    return columns


def selected(part: Sequence[Span], columns: Mapping[str, str], place: str, train: bool) -> Selected:
    """Return the rows of spans, to be read.

    Args:
        part: the spans, of one kind of table.
        columns: by role.
        place: the dataset and split, for error lines.
        train: True for the training rows.
    """
    table = part[0].table

    def rows() -> Iterator[Row]:
        wanted = list(dict.fromkeys(columns.values()))
        return chain.from_iterable(
            islice(span.table.rows(wanted), span.start, span.stop) for span in part
        )

    return Selected(rows, columns, place, table.features, table.typed, train)


def _separated(table: Table, column: str) -> str:
    """Return advice where a CSV file's header is separated by something else than expected."""
    if table.typed or len(table.columns) != 1:
        return ""
    for separator, name in SEPARATORS.items():
        if column in table.columns[0].split(separator):
            return f"its cells are separated by {name}: use commas, or tabs in a .tsv file"
    return ""
