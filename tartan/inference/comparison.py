"""Compare finished runs: scores, what differs in them, and predictions on the same dev rows."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from tartan.errors import ConfigError, StorageError
from tartan.experiment.identity import differing_keys, value_at
from tartan.inference.model import finished_summary
from tartan.report.pages import Table, figure, write_page
from tartan.report.record import PREDICTIONS, read_lines

RUNS = "give directories of runs, DIRECTORY/*/ for those of a sweep"
"""How an error ends where a directory has no finished run."""


@dataclass
class CompareOptions:
    """How runs are compared.

    Attributes:
        out: the page that is written, which does not exist yet.
    """

    out: str = "comparison.html"


@dataclass(frozen=True)
class Comparison:
    """What is found in several runs.

    Attributes:
        names: the runs' directories.
        scores: one row for each run.
        options: one row for each option in which the runs differ.
        pairs: each run's predictions on dev beside the first one's, where both read the same rows.
        notes: what the reader should know.
    """

    names: Sequence[str]
    scores: Table
    options: Table
    pairs: Table
    notes: Sequence[str]


def compare_runs(directories: Sequence[Path], options: CompareOptions) -> Comparison:
    """Compare runs, and write the page.

    Args:
        directories: of complete runs, two or more.
        options: the page's name.

    Raises:
        TartanError: a run is not complete, or the page is there already.
    """
    out = Path(options.out)
    if os.path.lexists(out):
        raise StorageError(f"{out} is there already and is not overwritten: give out=FILE")
    if not out.parent.is_dir():
        raise StorageError(f"{out.parent} is not a directory: create it, or give another out=FILE")
    if len(directories) < 2:
        raise ConfigError("compare needs two runs or more: give their directories")
    summaries = [finished_summary(directory, RUNS) for directory in directories]
    place, names = named(directories)
    found = Comparison(
        names,
        score_table(names, summaries),
        option_table(names, summaries),
        pair_table(directories, names, summaries),
        [f"The runs are in {place}.", *notes(summaries)],
    )
    write_page(out, "comparison.html", {"found": found})
    return found


def named(directories: Sequence[Path]) -> tuple[str, list[str]]:
    """Return the directory that has all runs in it, and the runs' names there.

    >>> named([Path("/runs/mlm/0"), Path("/runs/rtd/0")])
    ('/runs', ['mlm/0', 'rtd/0'])
    """
    paths = [Path(os.path.normpath(directory.absolute())) for directory in directories]
    place = os.path.commonpath([path.parent for path in paths])
    return place, [os.path.relpath(path, place) for path in paths]


def score_table(names: Sequence[str], summaries: Sequence[Mapping[str, Any]]) -> Table:
    """Return the scores, with weighting, objectives and time, of each run."""
    columns = list(
        dict.fromkeys(
            (split, metric) for split in ("dev", "test") for s in summaries for metric in s[split]
        )
    )
    rows = [
        [
            name,
            s["weighting"] if s["objectives"] else "-",
            ", ".join(s["objectives"]) or "none",
            *(figure(s[split].get(metric)) for split, metric in columns),
            str(s["best_step"]),
            f"{s['seconds']:.0f}",
        ]
        for name, s in zip(names, summaries, strict=True)
    ]
    header = ["run", "weighting", "auxiliary", *(f"{split} {metric}" for split, metric in columns)]
    return Table(
        "Scores",
        "The best model of each run, chosen on dev; test was read once.",
        [*header, "best step", "seconds"],
        rows,
        ("weighting", "auxiliary"),
    )


def option_table(names: Sequence[str], summaries: Sequence[Mapping[str, Any]]) -> Table:
    """Return the options, and the contents, in which the runs differ."""
    parts = [s.get("identity", {}).get("parts", {}) for s in summaries]
    rows = []
    for part in ("configuration", "data", "model", "tokenizer", "plugins", "device", "environment"):
        values = [each.get(part, {}) for each in parts]
        keys = {key for other in values[1:] for key in differing_keys(values[0], other)}
        for key in sorted(keys):
            label = key if part == "configuration" else f"{part}: {key}"
            rows.append([label, *(_short(value_at(each, key)) for each in values)])
    note = "Options with different values, and hashes of data, models and code that differ."
    return Table("What differs", note, ["option", *names], rows, names)


def pair_table(
    directories: Sequence[Path], names: Sequence[str], summaries: Sequence[Mapping[str, Any]]
) -> Table:
    """Return on how many dev rows one of two runs is right and the other wrong.

    The p is that of the exact test by McNemar (1947): of the rows that only one of them has right,
    each run is as likely to have it. The rows are independent, the tags of one row are not.
    """
    first, *others = map(_right, directories)
    hashes = [s["data"].get("dev", {}).get("sha256") for s in summaries]
    rows = []
    for name, right, found in zip(names[1:], others, hashes[1:], strict=True):
        if not first or len(first) != len(right) or found != hashes[0]:
            continue
        here = sum(a and not b for a, b in zip(right, first, strict=True))
        there = sum(b and not a for a, b in zip(right, first, strict=True))
        p = binomtest(here, here + there).pvalue if here + there else 1.0
        rows.append([name, str(here), str(there), figure(p, 3)])
    return Table(
        "Predictions on dev",
        f"Dev rows that only one of two runs has right, each run beside {names[0]}; a row with "
        "several labels or tags is right if all of them are. p of McNemar's exact test. Both "
        "models were chosen on these rows.",
        ["run", "right only in this run", f"right only in {names[0]}", "p"],
        rows,
    )


def notes(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what the reader of the tables should know."""
    found = [
        "These are single runs: a difference may be that of their seeds. `python -m tartan study` "
        "compares on several seeds, with intervals and tests."
    ]
    for split in ("dev", "test"):
        hashes = {s["data"].get(split, {}).get("sha256") for s in summaries}
        if len(hashes) > 1:
            found.append(
                f"The runs were scored on different {split} rows: their {split} scores cannot be "
                "compared."
            )
    return found


def _right(directory: Path) -> list[bool]:
    """Return whether each dev row is predicted right; nothing for numbers."""
    found: list[bool] = []
    for line in read_lines(directory / PREDICTIONS):
        given, predicted = line["label"], line["predicted"]
        if isinstance(given, float):
            return []
        if isinstance(given, list) and "probabilities" in line:  # labels of a set, in any order
            found.append(set(given) == set(predicted))
        else:
            found.append(given == predicted)
    return found


def _short(value: Any) -> str:
    """Return a value for a table; of a hash, the beginning."""
    text = "-" if value is None else str(value)
    return f"{text[:12]}..." if len(text) == 64 and " " not in text else text
