"""Which files of a directory are which split of a task, by their names."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tartan.data.formats import UNREADABLE, ending, format_of, is_readable, stem
from tartan.errors import DataError, listed

NAMES: Mapping[str, str] = {
    "train": "train", "training": "train",
    "dev": "dev", "development": "dev", "validation": "dev", "valid": "dev", "val": "dev",
    "test": "test", "testing": "test",
    "unlabelled": "unlabelled", "unlabeled": "unlabelled", "domain": "domain",
}  # fmt: skip
"""What a word in a file's name says about it."""
WORD = re.compile(rf"({'|'.join(NAMES)})(set|data|dataset)?")
BORDERS = re.compile(r"[^a-zA-Z]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""What stands between the words of a name: signs, or nothing before a capital."""
NAMED = 3
"""Files that a line names at most."""
TEXTS = ("unlabelled", "domain")
"""Files of text without labels."""
STATE = "state.json"
"""What `save_to_disk` of `datasets` writes beside rows."""
BESIDE = (STATE, "dataset_info.json", "dataset_dict.json")
"""What it writes beside rows, or above them."""
RESULTS = (".hydra/config.yaml", "multirun.yaml", "study.json", "evaluation.json")
"""What a directory of results has: that of a run, a sweep, a study or an evaluation."""


@dataclass(frozen=True)
class Layout:
    """The files of a task.

    Attributes:
        parts: files by what they are: `train`, `dev`, `test`, `unlabelled`, `domain`.
        ignored: files of rows whose names say none of these.
    """

    parts: Mapping[str, Sequence[Path]]
    ignored: Sequence[Path] = field(default_factory=tuple)


def find_layout(path: Path, named: Collection[Path], given: Collection[str]) -> Layout:
    """Return the files of a task: one file of rows, or those of a directory.

    Where no name says `train`, `dev` or `test`, all files of rows are training data.

    Args:
        path: the file or directory.
        named: resolved files and directories that options name as something else. Files among
            them, or below them, are not training data unless their names say so.
        given: the parts whose files options name.

    Raises:
        DataError: there is no such file or directory, it has no file of rows, or all files of a
            part are of unknown formats.
    """
    if not path.is_dir():
        if not path.exists():
            raise DataError(f"{path}: no such file or directory: check the path")
        return Layout({"train": [path]})
    files = readable_files(path)
    parts: dict[str, list[Path]] = {}
    rest: list[Path] = []
    elsewhere = set(named) - {path.resolve(), *path.resolve().parents}
    away = {file for file in files if elsewhere.intersection(_with_parents(file))}
    for file in files:
        part = part_of(file.relative_to(path))
        # A row of a text file has no label.
        if part is not None and (part in TEXTS or ending(file) != ".txt"):
            parts.setdefault(part, []).append(file)
        elif ending(file) != ".txt" and file not in away:
            rest.append(file)
    alone = not rest and parts.keys() <= set(TEXTS)
    _check_formats(path, {*parts, *given}, elsewhere, alone)
    if rest and parts.keys() <= set(TEXTS):
        return Layout({"train": rest, **parts})
    if "train" not in parts:
        rows = [str(file.relative_to(path)) for file in files if file not in away]
        names = listed(rows, NAMED) or "none"
        results = "; directories of runs are not read" if _results(path, _files(path)) else ""
        results += "; those that other options name are not among them" if away else ""
        raise DataError(
            f"{path}: no file of training rows (its files of rows are: {names}{results}): add one "
            "whose name says train"
        )
    return Layout(parts, rest)


def readable_files(path: Path) -> list[Path]:
    """Return the files below a directory whose names end in a known format.

    Hidden ones are left out, and those in directories of results below it.

    Raises:
        DataError: the directory cannot be read.
    """
    return _outside_results(path, is_readable)


def _check_formats(
    path: Path, read: Collection[str], elsewhere: Collection[Path], alone: bool
) -> None:
    """DataError where a file of rows cannot be read, and nothing else is read in its place.

    Args:
        path: the directory that it is in, or below which.
        read: the parts that are read.
        elsewhere: resolved files and directories that options name as something else.
        alone: whether there is no file of rows that can be read.
    """
    for file in _outside_results(path, lambda file: ending(file) in UNREADABLE):
        part = part_of(file.relative_to(path))
        if alone:
            format_of(file)
        elif part not in (None, *read) and not _with_parents(file).intersection(elsewhere):
            try:
                format_of(file)
            except DataError as error:
                raise DataError(f"{error}, or move it out of {path}") from None


def _outside_results(path: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """Return the wanted files that are not in directories of results below a directory."""
    files = _files(path, wanted)
    results = _results(path, files)
    return [file for file in files if not results.intersection(file.parents)]


def _files(path: Path, wanted: Callable[[Path], bool] = is_readable) -> list[Path]:
    """Return the wanted files of rows, hidden ones left out. DataError where none can be read."""
    try:
        found = sorted(file for file in path.rglob("*") if wanted(file) and file.is_file())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}): check it") from None
    return [
        file
        for file in found
        if not _is_beside_rows(file)
        and not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
    ]


def _is_beside_rows(file: Path) -> bool:
    """Return whether `datasets` wrote a file beside rows that it saved: their kind, or a cache."""
    if file.suffix == ".arrow":
        return file.name.startswith("cache-") and (file.parent / STATE).is_file()
    return file.name in BESIDE and any(file.parent.rglob("*.arrow"))


def _with_parents(file: Path) -> set[Path]:
    """Return a file and the directories that it is in, resolved."""
    found = file.resolve()
    return {found, *found.parents}


def _results(path: Path, files: Sequence[Path]) -> set[Path]:
    """Return the directories of results below a directory, of those that files are in."""
    below = {each for file in files for each in file.parents if path in each.parents}
    return {each for each in below if any((each / mark).is_file() for mark in RESULTS)}


def part_of(path: Path) -> str | None:
    """Return what a file is, by its name or else its directory's; None if that is not clear.

    >>> part_of(Path("data/train-00000-of-00002.parquet")), part_of(Path("dev/rows.csv"))
    ('train', 'dev')
    >>> part_of(Path("train_test.csv")), part_of(Path("latest.csv"))
    (None, None)
    >>> part_of(Path("TrainData.csv")), part_of(Path("testset_2.csv"))
    ('train', 'test')
    """
    for name in (stem(path), *reversed(path.parent.parts)):
        pieces = {*BORDERS.split(name), *re.split(r"[^a-zA-Z]+", name)}
        words = (WORD.fullmatch(piece.lower()) for piece in pieces)
        found = {NAMES[word[1]] for word in words if word}
        if found:
            return found.pop() if len(found) == 1 else None
    return None
