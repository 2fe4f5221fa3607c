"""A task from the Hugging Face hub, or from a directory that the datasets library reads."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from textwrap import shorten
from typing import Any

import datasets
from datasets import ClassLabel, Dataset, DatasetDict, List

from tartan.batch import LabelKind
from tartan.data.arrow import batches_of
from tartan.data.lines import expand, read_passages
from tartan.data.rows import PAIR, ROLES, Example, check_row
from tartan.data.task import SPLITS, Task, build_task
from tartan.errors import ConfigError, DataError, suggest
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
class HubOptions:
    """Options of `source: hub`.

    Attributes:
        name: the dataset's id on the hub, or a local directory: data files, or what
            `save_to_disk` wrote.
        config_name: which of the dataset's configurations; None for its only one.
        text_column: the column that holds the text.
        label_column: the column that holds the label: class ids, strings, integers or booleans, or
            the number that a regression predicts.
        pair_column: the column that holds the second text; `text_pair` need not be there.
        tokens_column: where words are tagged, the column that holds each row's list of words.
        tags_column: where words are tagged, the column that holds its list of tags: ids or strings.
        splits: which splits serve as train, dev and test.
        domain: a text file of other text of the task's domain, one passage a line.
    """

    name: str | None = None
    config_name: str | None = None
    text_column: str = "text"
    label_column: str = "label"
    pair_column: str = PAIR
    tokens_column: str = "tokens"
    tags_column: str = "tags"
    splits: HubSplits = field(default_factory=HubSplits)
    domain: str | None = None


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
        columns = {s: find_columns(part, options, labels) for s, part in parts.items()}
        examples = {
            split: read_examples(part, columns[split], f"{options.name} {wanted[split]}", labels)
            for split, part in parts.items()
        }
        return build_task(
            options.name.rstrip("/").rpartition("/")[2],
            examples,
            domain=read_passages(expand(options.domain)) if options.domain else None,
            order=declared_names(parts["train"], columns["train"][ROLES[labels][-1]]),
            kind=labels,
        )


def load_splits(name: str, config_name: str | None) -> Mapping[str, Dataset]:
    """Every split of a dataset, by name. DataError if it cannot be loaded."""
    path = expand(name)
    if not is_directory(path) and name.startswith(("/", ".", "~")):
        raise DataError(f"{name}: no such directory: set data.name to a directory or a hub id")
    try:
        if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
            loaded = datasets.load_from_disk(str(path))
        else:
            loaded = datasets.load_dataset(str(path) if is_directory(path) else name, config_name)
    except Exception as error:
        # The library lets anything through: the network's errors, and those of every file format.
        reason = shorten(str(error), 300) or type(error).__name__
        raise DataError(
            f"data.name={name} cannot be loaded ({reason}): check the id or directory, and "
            "data.config_name"
        ) from error
    return loaded if isinstance(loaded, DatasetDict) else {"train": loaded}


def is_directory(path: Path) -> bool:
    """Whether a path is a directory; not if it is none that a system could have."""
    try:
        return path.is_dir()
    except OSError:
        return False


def select(found: Mapping[str, Dataset], spec: str, option: str) -> Dataset:
    """The rows that a split's name or slice stands for, `train[:90%]+extra` included.

    Args:
        found: the dataset's splits.
        spec: what to select.
        option: the option that asks for it, for error lines.

    Raises:
        ConfigError: the dataset has no such split, or the slice cannot be read.
    """
    for name in re.findall(r"(?:^|\+)\s*([^\[+\s]*)", spec):
        if name not in found:
            raise ConfigError(f"{option}={spec}: no split '{name}': {suggest(name, found)}")
    try:
        spans = datasets.ReadInstruction.from_spec(spec).to_absolute(
            {name: len(rows) for name, rows in found.items()}
        )
    except (ValueError, AssertionError) as error:
        raise ConfigError(
            f"{option}={spec} is no split or slice ({error}): write it like train[:90%]"
        ) from None
    rows = [found[span.splitname].select(range(span.from_, span.to)) for span in spans]
    return datasets.concatenate_datasets(rows)


def find_columns(rows: Dataset, options: HubOptions, labels: LabelKind) -> dict[str, str]:
    """The column of each role that rows with labels of a kind have. ConfigError if one is missing.

    Returns:
        Names of columns by role; the label's, or the tags', is `ROLES[labels][-1]`.
    """
    roles = ROLES[labels]
    if "text" in roles and (
        options.pair_column in rows.column_names or options.pair_column != PAIR
    ):
        roles = ("pair", *roles)
    columns = {role: getattr(options, f"{role}_column") for role in roles}
    for role, column in columns.items():
        if column not in rows.column_names:
            raise ConfigError(
                f"data.{role}_column={column}: no such column in {options.name}: "
                f"{suggest(column, rows.column_names)}"
            )
    return columns


def declared_names(rows: Dataset, column: str) -> Sequence[str] | None:
    """The class or tag names that a column declares, in the order of their ids, if it does."""
    feature = rows.features[column]
    feature = feature.feature if isinstance(feature, List) else feature
    return list(feature.names) if isinstance(feature, ClassLabel) else None


def read_examples(
    rows: Dataset, columns: Mapping[str, str], place: str, labels: LabelKind
) -> Iterator[Example]:
    """Checked rows; ids become names. DataError at the first row that cannot be used."""
    target = ROLES[labels][-1]
    names = declared_names(rows, columns[target])
    read = (
        zip(*(batch[column] for column in columns.values()), strict=True)
        for batch in batches_of(rows.select_columns(list(set(columns.values()))))
    )
    for number, row in enumerate(chain.from_iterable(read)):
        here = f"{place} row {number}"
        values: dict[str, Any] = dict(zip(columns, row, strict=True))
        if names is not None:
            values[target] = named(values[target], names, here)
        elif values[target] is None:
            raise _unlabelled(None, here)
        yield check_row(values, labels, here)


def named(ids: int | list[int] | None, names: Sequence[str], place: str) -> str | list[str]:
    """The names of ids. DataError if the row is unlabelled: -1, or no id at all."""
    if isinstance(ids, list):
        return [_name(each, names, place) for each in ids]
    return _name(ids, names, place)


def _name(label: int | None, names: Sequence[str], place: str) -> str:
    """The name of an id. DataError if there is none."""
    if label is None or label < 0:
        raise _unlabelled(label, place)
    return names[label]


def _unlabelled(label: int | None, place: str) -> DataError:
    return DataError(
        f"{place}: the row is unlabelled (label {label}): choose splits with labels in data.splits"
    )
