"""The table at the end of several runs, by `run -m`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tartan.distributed.place import reports
from tartan.report.pages import write_csv
from tartan.report.record import SUMMARY, read_json

OVERRIDES = ".hydra/overrides.yaml"
TABLE = "sweep.csv"


class SweepTable(Callback):
    """Prints a table of the runs when all have ended, and writes it to sweep.csv."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Print and write the table. What fails here is reported by Hydra, and stops nothing."""
        directory = Path(config.hydra.sweep.dir)
        done = results(directory)
        if done and reports():
            write_csv(directory / TABLE, [row.cells for row in done])
            Console(highlight=False).print(table(done))
            print(f"in {directory}: {TABLE}, and a directory for each run")


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
    def cells(self) -> dict[str, str | float]:
        """Return the row of sweep.csv."""
        scores = {f"dev {self.metric}": self.dev, f"test {self.metric}": self.test}
        return {**self.values, **scores, "seconds": self.seconds, "directory": self.place}


def results(directory: Path) -> list[Row]:
    """Return the finished runs in a directory, the best on dev first."""
    found = []
    for path in sorted(directory.rglob(SUMMARY)):
        overrides = path.parent / OVERRIDES
        summary = read_json(path)
        if summary and overrides.is_file():
            found.append((path.parent, _overrides(overrides), summary))
    differing = _differing([values for _, values, _ in found])
    rows = [
        Row(
            {name: values.get(name, "") for name in differing},
            summary["metric"],
            summary["dev"][summary["metric"]],
            summary["test"][summary["metric"]],
            summary["seconds"],
            str(place.relative_to(directory)),
        )
        for place, values, summary in found
    ]
    return sorted(rows, key=lambda row: -row.dev)


def table(rows: Sequence[Row]) -> Table:
    """Return the table of a sweep's runs."""
    first = rows[0]
    shown = Table(*first.values, f"dev {first.metric}", f"test {first.metric}", "time",
                  box=SIMPLE_HEAD)  # fmt: skip
    for row in rows:
        time = f"{row.seconds:.0f} s" if row.seconds < 120 else f"{row.seconds / 60:.0f} min"
        shown.add_row(*row.values.values(), f"{row.dev:.4f}", f"{row.test:.4f}", time)
    return shown


def _overrides(path: Path) -> dict[str, str]:
    """Return a run's overrides by name, as they were typed."""
    texts = [str(text).lstrip("+").partition("=") for text in OmegaConf.load(path)]
    return {name: value for name, _, value in texts}


def _differing(runs: Sequence[dict[str, str]]) -> list[str]:
    """Return the names of overrides that are not the same in all runs, in their order."""
    names = dict.fromkeys(name for values in runs for name in values)
    return [name for name in names if len({values.get(name) for values in runs}) > 1]
