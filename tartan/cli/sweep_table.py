"""The table at the end of several runs, by `run -m`."""

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.table import Table

from tartan.cli.ended import Ended, folder, forget, read
from tartan.distributed.place import reports
from tartan.report.pages import write_csv
from tartan.report.record import SUMMARY, read_json
from tartan.report.terminal import show, terminal_table

TABLE = "sweep.csv"
LONG_DECIMAL = re.compile(r"-?\d*\.\d{7,}(e[-+]?\d+)?", re.IGNORECASE)


class SweepTable(Callback):
    """Prints a table of the runs when all have ended, and writes it to sweep.csv."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Forget the jobs of an earlier sweep of this process in the same directory."""
        if reports():
            forget(Path(config.hydra.sweep.dir) / folder())

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Print and write the table. What fails here is reported by Hydra, and stops nothing.

        Raises:
            SystemExit: runs failed; Hydra has nothing left to do, and no other way to tell.
        """
        directory = Path(config.hydra.sweep.dir)
        if not reports():
            return
        done, failed = results(directory, read(directory / folder()))
        if done or failed:
            write_csv(
                directory / TABLE, [row.cells for row in done] + [row.cells for row in failed]
            )
            show(table(done, failed))
            print(f"in {directory}: {TABLE}, and a directory for each run")
        forget(directory / folder())
        if failed:
            print(
                f"tartan: {len(failed)} of {len(done) + len(failed)} runs failed "
                f"({', '.join(row.place for row in failed)}): {TABLE} has the errors; give the "
                f"same command with hydra.sweep.dir={directory} to try them again",
                file=sys.stderr,
            )
            sys.exit(1)


@dataclass(frozen=True)
class Row:
    """A finished run of a sweep.

    Attributes:
        values: of the options that differ between the runs, by name.
        metric: the metric that selects the best model.
        dev: its value on dev.
        test: its value on test.
        seconds: how long the run took.
        place: its directory, relative to the sweep's.
    """

    values: dict[str, str]
    metric: str
    dev: float
    test: float
    seconds: float
    place: str

    @property
    def scores(self) -> dict[str, float]:
        """Return the scores by the names of their columns."""
        return {f"dev {self.metric}": self.dev, f"test {self.metric}": self.test}

    @property
    def cells(self) -> dict[str, str | float]:
        """Return the row of sweep.csv."""
        return {**self.values, **self.scores, "seconds": self.seconds, "directory": self.place}


@dataclass(frozen=True)
class FailedRow:
    """A failed run of a sweep.

    Attributes:
        values: of the options that differ between the runs, by name.
        place: its directory, relative to the sweep's; it may have been removed.
        error: what is wrong.
    """

    values: dict[str, str]
    place: str
    error: str

    @property
    def cells(self) -> dict[str, str | float]:
        """Return the row of sweep.csv."""
        return {**self.values, "directory": self.place, "error": self.error}


def results(directory: Path, jobs: Sequence[Ended]) -> tuple[list[Row], list[FailedRow]]:
    """Return a sweep's finished runs, and the failed ones.

    Of each metric, the best run on dev comes first: runs of different metrics have no order.

    Args:
        directory: the sweep's. It may have the runs of other sweeps too.
        jobs: the sweep's jobs that have ended.
    """
    differing = _differing([_overrides(job.overrides) for job in jobs])
    rows, failed = [], []
    for job in jobs:
        overrides = _overrides(job.overrides)
        values = {name: overrides.get(name, "") for name in differing}
        if job.error is not None:
            failed.append(FailedRow(values, job.place, job.error))
        elif summary := read_json(directory / job.place / SUMMARY):
            metric = summary["metric"]
            dev, test = summary["dev"][metric], summary["test"][metric]
            rows.append(Row(values, metric, dev, test, summary["seconds"], job.place))
    return sorted(rows, key=lambda row: (row.metric, -row.dev)), failed


def table(rows: Sequence[Row], failed: Sequence[FailedRow] = ()) -> Table:
    """Return the table of a sweep's runs; at least one row of either kind."""
    names = (rows[0] if rows else failed[0]).values
    scores = list(dict.fromkeys(name for row in rows for name in row.scores)) or ["dev", "test"]
    lines = [
        (
            *map(short, row.values.values()),
            *(f"{row.scores[name]:.4f}" if name in row.scores else "" for name in scores),
            _time(row.seconds),
        )
        for row in rows
    ]
    lost = [(*map(short, one.values.values()), "failed") for one in failed]
    return terminal_table((*names, *scores, "time"), [*lines, *lost], box=SIMPLE_HEAD)


def short(value: str) -> str:
    """Return an option's value as the table shows it: six digits of a long decimal number.

    >>> short("0.0018743321983463"), short("1.87433219834639e-05"), short("0.001"), short("[mlm]")
    ('0.00187433', '1.87433e-05', '0.001', '[mlm]')
    """
    return f"{float(value):.6g}" if LONG_DECIMAL.fullmatch(value) else value


def _time(seconds: float) -> str:
    """Return how long a run took, as the table shows it."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _overrides(texts: Iterable[Any]) -> dict[str, str]:
    """Return a run's overrides by name, as they were typed."""
    parts = [str(text).lstrip("+").partition("=") for text in texts]
    return {name: value for name, _, value in parts}


def _differing(runs: Sequence[dict[str, str]]) -> list[str]:
    """Return the names of overrides that are not the same in all runs, in their order."""
    names = dict.fromkeys(name for values in runs for name in values)
    return [name for name in names if len({values.get(name) for values in runs}) > 1]
