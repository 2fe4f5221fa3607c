"""A task from files as people have them: one file or a directory, whatever format."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from tartan.batch import LabelKind
from tartan.data.column_names import find_columns
from tartan.data.csv_dialect import SEPARATORS, find_dialect
from tartan.data.divide import Division, SplitOptions, divide
from tartan.data.formats import ending, open_table
from tartan.data.label_sets import INDICATED, IndicatorTable, separator_in
from tartan.data.labelled_files import LabelledFiles, quoted_names
from tartan.data.layout import NAMED, TEXTS, Layout, find_layout
from tartan.data.lines import expand
from tartan.data.rows import ROLES, Example
from tartan.data.tables import Table, declared_names
from tartan.data.task import SPLITS, Task, build_task
from tartan.data.text_source import (
    StreamOptions,
    TextSource,
    domain_corpus,
    read_texts,
    text_sources,
)
from tartan.data.unlabelled_rows import MISSING, check_missing
from tartan.errors import ConfigError, DataError, listed, suggest
from tartan.quiet import quiet


@dataclass
class FilesOptions(StreamOptions):
    """Options of `source: files`.

    Attributes:
        path: a file, or a directory of files whose names say train, dev (or validation) and test;
            CSV, TSV, JSON, JSON lines, Parquet or Arrow, also compressed (gz, bz2, xz, zst).
            Directories of runs in it are not read.
        dev: a file of dev rows, where `path` has none.
        test: a file of test rows, where `path` has none.
        text: the column of the text; by default the one with a usual name.
        label: the column of the label.
        pair: the column of the second text.
        labels: where a row may have several labels, the columns of the labels, if each has a column
            of its own, with 1 for yes and 0 for no.
        label_separator: where a row may have several labels in one string, what separates them; by
            default the first of | ; , that occurs.
        tokens: where words are tagged, the column of each row's list of words.
        tags: where words are tagged, the column of its list of tags.
        missing: training rows without a label, and such rows of a file that is divided: `refuse`
            them, or read their texts as those of `unlabelled`.
        split: the sizes of dev and test, where there are no files of them.
        unlabelled: more text of the task: a file or directory; or {path: ..., text: ...}, or
            {hub: ..., config_name: ..., split: ..., text: ...}; or a list of these.
        domain: other text of the task's domain, likewise.
    """

    path: str | None = None
    dev: str | None = None
    test: str | None = None
    text: str | None = None
    label: str | None = None
    pair: str | None = None
    labels: list[str] | None = None
    label_separator: str | None = None
    tokens: str | None = None
    tags: str | None = None
    missing: str = MISSING[0]
    split: SplitOptions = field(default_factory=SplitOptions)
    unlabelled: Any = None
    domain: Any = None


def load_files(
    options: FilesOptions, labels: LabelKind = LabelKind.CLASS, splits: Sequence[str] = SPLITS
) -> Task:
    """Read a task; its arguments are those of `load_task`.

    Raises:
        ConfigError: no path is given, or an option cannot be used.
        DataError: a file is missing, or cannot be used; names the file and line.
    """
    layout = find_files(options)
    with quiet():
        found = find_labelled(layout, options, labels)
        missing = [split for split in SPLITS[1:] if split in splits and split not in found.tables]
        division = None
        if missing:
            rows = found.numbered("train", labels)
            division = divide(found.files["train"], rows, labels, missing, options.split)
        examples = {split: _examples(found, division, split, labels) for split in splits}
        sources = {name: _sources(layout, options, name) for name in TEXTS}
        without = found.unlabelled(labels)
        domain, streaming = domain_corpus(sources["domain"], options, found.columns)
        task = build_task(
            task_name(options),
            examples,
            unlabelled=chain(
                without.texts(),
                read_texts(sources["unlabelled"], "data.unlabelled", found.columns),
            ),
            domain=domain,
            streaming=streaming,
            order=options.labels
            or declared_names(found.tables["train"].features, found.columns[ROLES[labels][-1]]),
            kind=labels,
        )
        read = [*notes(found, layout), *without.notices()]
        if division is not None:
            read += division.notices()
            names = [file.name for file in layout.parts["train"]]
            division = replace(division, file=", ".join(names))
    columns = {role: name for role, name in found.read().items() if isinstance(name, str)}
    return replace(
        task, notes=tuple(read), division=division, separator=found.separator, columns=columns
    )


def find_files(options: FilesOptions) -> Layout:
    """Return the files of a task.

    Raises:
        ConfigError: no path is given, or the option of texts cannot be used.
        DataError: there is no such file or directory, or there are no files of rows that can be
            read.
    """
    if not options.path:
        raise ConfigError("data.path is not set: give a file or a directory with data.path=...")
    given = {split: getattr(options, split) for split in SPLITS[1:]}
    parts = {split: [expand(file)] for split, file in given.items() if file}
    named = [*chain.from_iterable(parts.values()), *_named_texts(options)]
    elsewhere = {*parts, *(name for name in TEXTS if getattr(options, name) is not None)}
    layout = find_layout(expand(options.path), {file.resolve() for file in named}, elsewhere)
    for split, [file] in parts.items():
        if not file.exists():
            raise DataError(f"data.{split}={file}: no such file: check the path")
    return replace(layout, parts={**_others(layout.parts, parts), **parts})


def _others(
    found: Mapping[str, Sequence[Path]], given: Mapping[str, Sequence[Path]]
) -> dict[str, Sequence[Path]]:
    """Return files by what their names say, without those that options name as dev or test.

    Raises:
        DataError: no file of training rows is left.
    """
    taken = {file.resolve() for files in given.values() for file in files}
    kept = {part: [f for f in files if f.resolve() not in taken] for part, files in found.items()}
    if not kept["train"]:
        names = ", ".join(map(str, found["train"]))
        raise DataError(
            f"no file of training rows is left: data.dev and data.test name {names}; add another"
        )
    return {part: files for part, files in kept.items() if files}


def find_labelled(layout: Layout, options: FilesOptions, labels: LabelKind) -> LabelledFiles:
    """Return the labelled rows of files, and their columns.

    Raises:
        ConfigError: a column that is named is missing.
        DataError: a file cannot be read, or no column has a usual name.
    """
    check_missing(options.missing, labels)
    parts = {split: layout.parts[split] for split in SPLITS if split in layout.parts}
    tables = {split: open_table(files) for split, files in parts.items()}
    names = {split: _named(files) for split, files in parts.items()}
    given = {role: getattr(options, role) for role in (*ROLES[labels], "pair")}
    if options.labels:
        tables = {
            s: indicators(table, options.labels, parts[s][0], labels) for s, table in tables.items()
        }
        given["label"] = INDICATED
    columns = find_columns(tables["train"], given, labels, str(parts["train"][0]))
    for split, table in tables.items():
        for role, column in columns.items():
            if column not in table.columns:
                remedy = "rename the column" + _without_labels(split, role, options, parts["train"])
                raise DataError(
                    f"{parts[split][0]}: no column '{column}', which is the {role} of "
                    f"{names['train']}: {remedy}"
                )
    separator = None
    if labels is LabelKind.SETS and not options.labels:
        separator = options.label_separator or separator_in(tables["train"], columns["label"])
    return LabelledFiles(tables, names, columns, _named(layout.ignored), separator, options.missing)


def _without_labels(split: str, role: str, options: FilesOptions, train: Sequence[Path]) -> str:
    """Return what to do where the column of a role is missing because a split has no labels."""
    if role not in ("label", "tags"):
        return ""
    if getattr(options, split):
        remedy = f"leave out data.{split}"
    elif len(train) == 1:
        remedy = f"give the file of training rows alone: data.path={train[0]}"
    else:
        remedy = "put it in another directory"
    return f"; if it has no labels, {remedy}"


def indicators(table: Table, names: Sequence[str], file: Path, labels: LabelKind) -> Table:
    """Return a table whose columns of labels are read as one list.

    Raises:
        ConfigError: rows have one label only, or a column is missing.
    """
    if labels is not LabelKind.SETS:
        raise ConfigError("data.labels names columns of several labels: use primary=multilabel")
    for name in names:
        if name not in table.columns:
            raise ConfigError(
                f"data.labels={name}: no such column in {file}: {suggest(name, table.columns)}"
            )
    return IndicatorTable(table, names)


def notes(found: LabelledFiles, layout: Layout) -> list[str]:
    """Return what was read as what, a sentence each."""
    files = ", ".join(f"{split} from {names}" for split, names in found.files.items())
    columns = ", ".join(
        f"{role} from column{'' if isinstance(names, str) else 's'} {quoted_names(names)}"
        for role, names in found.read().items()
    )
    lines = [f"Read {files}; {columns}."]
    lines += _separators(layout.parts["train"])
    if found.separator:
        lines.append(f"Labels are separated by '{found.separator}'.")
    if found.ignored:
        lines.append(f"Not read, as no name says train, dev or test: {found.ignored}.")
    return lines


def task_name(options: FilesOptions) -> str:
    """Return the task's name: that of the file or directory."""
    path = expand(options.path or "").resolve()
    return path.name if path.is_dir() else path.name.split(".")[0] or path.name


def _examples(
    found: LabelledFiles, division: Division | None, split: str, labels: LabelKind
) -> Iterator[Example]:
    """Yield the rows of a split: of its own files, or those that it was given of train's."""
    if division is None or split not in division.rows:
        return found.examples(split, labels)
    return division.of(split, found.numbered("train", labels))


def _sources(layout: Layout, options: FilesOptions, name: str) -> list[TextSource]:
    """Return the sources of texts without labels; none if there are no such texts."""
    given = getattr(options, name)
    if given is not None:
        return text_sources(given, f"data.{name}")
    return [TextSource(path=str(file)) for file in layout.parts.get(name, [])]


def _separators(files: Sequence[Path]) -> list[str]:
    """Return what separates the cells of CSV files, where it is not commas, a sentence each."""
    names: dict[str, list[Path]] = {}
    for file in files:
        if ending(file) == ".csv":
            names.setdefault(find_dialect(file).separator, []).append(file)
    return [
        f"The cells of {_named(found)} are separated by {SEPARATORS.get(each, repr(each))}."
        for each, found in names.items()
        if each != ","
    ]


def _named_texts(options: FilesOptions) -> Iterator[Path]:
    """Yield the files and directories that options name as texts without labels."""
    for name in TEXTS:
        if (given := getattr(options, name)) is not None:
            for source in text_sources(given, f"data.{name}"):
                yield expand(source.path or source.hub or "")


def _named(files: Sequence[Path]) -> str:
    """Return the names of files for a line: a part may have thousands of them."""
    return listed([file.name for file in files], NAMED)
