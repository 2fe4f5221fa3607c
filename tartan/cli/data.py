"""`python -m tartan data PATH`: what a run would see of files, without training."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from tartan.cli.arguments import names_file, typed
from tartan.config.explain import wrong_value
from tartan.data.cache import caching
from tartan.data.files import FilesOptions
from tartan.data.notices import corpus_notices, label_notices, leak_notices, subset_notices
from tartan.data.overview import Overview, balance_notices, overview
from tartan.data.task import Task
from tartan.errors import ConfigError, shown
from tartan.experiment.sections import end_task_class
from tartan.experiment.tasks import load_section
from tartan.plugins import discover
from tartan.sizes import counted
from tartan.spelling import spelled

COLUMNS = ("data.text", "data.label", "data.pair")
"""Options that name one column: a list is refused where the columns are known."""
OPTION = re.compile(r"[+~]*[a-z]\w*([./]\w+)*")
"""The name of an option of `run`."""
MOST = 20
"""Labels that are listed."""


def main(arguments: Sequence[str]) -> int:
    """Print what files hold. TartanError where they, or an option, cannot be used."""
    path, primary, given = read(arguments)
    _check_maps(given)
    kind = end_task_class(primary, discover()).reads
    with caching(False):
        task = load_section({**given, "source": "files", "path": path}, kind)
        print("\n".join(report(task)))
    more = [each for each in arguments if "=" in each and each != path and not _names_path(each)]
    command = ["python", "-m", "tartan", "run", "data=files", f"data.path={path}", *more]
    print(f"\n{shlex.join(command)}")
    return 0


def read(arguments: Sequence[str]) -> tuple[str, str, dict[str, Any]]:
    """Return the path, the end task and the options of data=files.

    Raises:
        ConfigError: the number of paths is not one, or an option is one of `run` alone.
    """
    paths: list[str] = []
    primary, given = "classification", dict[str, Any]()
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and name == "primary":
            primary = value
        elif equals and name in ("data", "data.source"):
            _check_source(value)
        elif equals and name == "data.path":
            paths.append(str(typed(value)))
        elif equals and name.startswith("data."):
            *sections, last = name.split(".")[1:]
            place = given
            for section in sections:
                place = place.setdefault(section, {})
                if not isinstance(place, dict):
                    raise ConfigError(f"{name}={value}: the option {section} is given as {place}")
            place[last] = value if name in COLUMNS and value.startswith("[") else typed(value)
        elif argument.startswith("-"):
            raise ConfigError(f"'{argument}': options are written name=value; see data --help")
        elif equals and OPTION.fullmatch(name) and not names_file(argument):
            raise ConfigError(
                f"{name}={value} is not an option of data: it takes primary=... and data.NAME=...; "
                "give the others to run"
            )
        else:
            paths.append(argument)
    if len(paths) != 1:
        found = " ".join(paths) or "none"
        raise ConfigError(f"data takes one file or directory, found {found}")
    return paths[0], primary, given


def _names_path(argument: str) -> bool:
    """Return whether an argument is a part of `data=files data.path=PATH`."""
    return argument.startswith(("data=", "data.path="))


def _check_maps(given: Mapping[str, Any]) -> None:
    """ConfigError where an option that has options of its own is given a value, as `run` says."""
    tree = OmegaConf.create({"data": OmegaConf.structured(FilesOptions)})
    for name, value in given.items():
        is_map = name in tree.data and isinstance(tree.data[name], DictConfig)
        if is_map and not isinstance(value, dict):
            typed_value = "null" if value is None else str(value)
            if line := wrong_value(f"data.{name}", typed_value, tree):
                raise ConfigError(line)


def _check_source(name: str) -> None:
    """ConfigError unless a source is the one whose files this command shows."""
    if name != "files":
        raise ConfigError(f"data={name}: this command shows data=files; give its file or directory")


def report(task: Task) -> list[str]:
    """Return the lines that describe a task."""
    found = overview(task)
    corpora = [f"{name} corpus: {counted(len(t), 'text')}" for name, t in task.corpora.items()]
    corpora += [f"{name} corpus: streamed, not read here" for name in task.streamed]
    doubtful = corpus_notices(task) + leak_notices(task) + label_notices(task)
    return [
        *task.notes,
        *subset_notices(task),
        "",
        *table(found),
        *corpora,
        *(["", *notices] if (notices := [*doubtful, *balance_notices(task, found)]) else []),
    ]


def table(found: Mapping[str, Overview]) -> list[str]:
    """Return a table with a column for each split."""
    splits = list(found.values())
    rows: list[tuple[str, list[str]]] = [
        ("", list(found)),
        ("rows", [str(split.rows) for split in splits]),
        ("repeated texts", [str(split.repeated) for split in splits]),
    ]
    for position, name in enumerate(("median", "95 %", "longest")):
        rows.append((f"words, {name}", [str(split.words[position]) for split in splits]))
    for position, name in enumerate(("smallest", "median", "largest")):
        if splits[0].numbers:
            values = [f"{split.numbers[position]:g}" for split in splits if split.numbers]
            rows.append((f"number, {name}", values))
    rows += _label_rows(splits)
    first = max(len(name) for name, _ in rows)
    widths = [max(len(values[n]) for _, values in rows) for n in range(len(splits))]
    lines = [
        f"{name:{first}}  " + "  ".join(f"{v:>{w}}" for v, w in zip(values, widths, strict=True))
        for name, values in rows
    ]
    more = len(splits[0].labels) - MOST
    return [*lines, f"and {counted(more, 'rarer label')}"] if more > 0 else lines


def _label_rows(splits: Sequence[Overview]) -> list[tuple[str, list[str]]]:
    """Return a row of counts for each of the most frequent labels of train."""
    ranked = sorted(splits[0].labels.items(), key=lambda item: -item[1])[:MOST]
    return [
        (f"label {shown(spelled(name))}", [_share(split, name) for split in splits])
        for name, _ in ranked
    ]


def _share(split: Overview, name: str) -> str:
    """Return a label's count and its share of all labels of a split."""
    total = sum(split.labels.values())
    return f"{split.labels[name]} ({split.labels[name] / max(total, 1):.0%})"
