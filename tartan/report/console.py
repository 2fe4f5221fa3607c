"""A run's console: a progress bar on a terminal or in a notebook, plain lines elsewhere."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID

from tartan.report.bars import new_bar
from tartan.report.pace import Pace, estimated
from tartan.report.record import METRICS, REPORT, SUMMARY, MetricsFile, MetricsLine
from tartan.report.tracker import RunTracker
from tartan.sizes import amount, counted
from tartan.weighting import Cost


class RunConsole:
    """Shows a run's progress, and passes its metrics to metrics.jsonl and a tracker.

    Attributes:
        tracker: where metrics also go, if anywhere.
    """

    def __init__(
        self,
        metrics: MetricsFile,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics, self._clock = metrics, clock
        self._pace, self._steps = Pace([]), (0, 0)
        self.tracker: RunTracker | None = None
        self._console = console or Console(soft_wrap=True, highlight=False, force_jupyter=False)
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def begin(self, records: Sequence[MetricsLine]) -> None:
        """Have metrics.jsonl hold these lines, and no others yet."""
        self._metrics.begin(records)

    def plan(self, rows: Sequence[tuple[str, str]], stages: Sequence[int]) -> None:
        """Show what a run is, as a table.

        Args:
            rows: names and values.
            stages: the budget of each stage that is not finished, in steps.
        """
        self._pace = Pace(stages)
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            self.notice(f"{name:{width}}  {value}")

    def stage(
        self, name: str, objectives: tuple[str, ...], steps: int, taken: int, cost: Cost
    ) -> None:
        """Announce a stage; on a terminal or in a notebook, start its progress bar."""
        self._hide()
        held = f", and about {amount(cost.activations)} of activations"
        self.notice(
            f"stage {name}: {', '.join(objectives)}; {counted(steps, 'step')}"
            f"{f', {taken} taken' if taken else ''}; each "
            f"{'on average' if cost.expected else 'at most'} "
            f"{counted(cost.forwards, 'forward pass', 'forward passes')}, "
            f"{counted(cost.backwards, 'backward pass', 'backward passes')} and "
            f"{counted(cost.copies, 'copy', 'copies')} of the body's gradient; "
            f"{amount(cost.memory)} with parameters and moments"
            f"{held if cost.activations else ''}"
        )
        self._pace.stage(steps - taken, self._clock())
        self._steps = taken, steps
        self._bar = new_bar(self._console)
        if self._bar:
            self._task = self._bar.add_task(name, total=steps, completed=taken, left="", latest="")
            self._bar.start()

    def step(self) -> None:
        """Move the bar; without a terminal, print a line about progress now and then."""
        self._pace.step(self._clock())
        self._steps = self._steps[0] + 1, self._steps[1]
        left = estimated(self._pace.left or 0.0)
        if self._bar:
            self._bar.update(self._task, advance=1, left=f"run: {left} left")
        elif self._pace.due():
            taken, steps = self._steps
            each = estimated(self._pace.seconds_a_step or 0.0)
            self.notice(f"  {taken} of {steps} steps, {each} each; about {left} left")

    def record(self, record: MetricsLine) -> None:
        """Write a line of metrics, and show it if it has dev metrics."""
        self._metrics.write(record)
        if self.tracker:
            self.tracker.log(record)
        evaluated = any(key.startswith("eval/") for key in record)
        if self._bar:
            self._bar.update(self._task, latest=short(record, ("train/loss/",)))
        if evaluated:
            kinds = ("eval/", "train/loss/", "train/weight/")
            self.notice(f"step {record['step']}: {short(record, kinds)}")

    def notice(self, text: str) -> None:
        """Show one line."""
        self._console.print(text, markup=False)

    def close(self) -> None:
        """Remove the bar, and close metrics.jsonl and the tracker."""
        self._hide()
        self._metrics.close()
        if self.tracker:
            self.tracker.close()

    def _hide(self) -> None:
        """Remove the bar."""
        if self._bar:
            self._bar.stop()
            self._bar = None


def outcome(summary: Mapping[str, Any], directory: Path) -> str:
    """Return a run's results in three lines, and the command that uses its model."""
    scores = [
        f"{split} {name} {value:.4f}"
        for split in ("dev", "test")
        for name, value in summary[split].items()
    ]
    files = (REPORT, SUMMARY, METRICS)
    written = [*(name for name in files if (directory / name).exists()), "checkpoints/", "model/"]
    weights = [f"{name} {value:.3f}" for name, value in summary["weights"].items()]
    return (
        f"best model at step {summary['best_step']}: {', '.join(scores)}\n"
        f"weights: {', '.join(weights)}\n"
        f"in {directory}: {', '.join(written)}\n"
        f"predict: python -m tartan predict {_typed(directory)} texts.csv predictions.csv"
    )


def _typed(directory: Path) -> str:
    """Return a directory as it is typed in a shell, relative to the current one if it is below."""
    here = Path.cwd()
    return quote(str(directory.relative_to(here) if directory.is_relative_to(here) else directory))


def short(record: Mapping[str, float | int | str], kinds: tuple[str, ...]) -> str:
    """Return the values of some kinds of metrics in a line: `macro_f1 0.71, loss/mlm 3.2`."""
    shown = []
    for kind in kinds:
        for key, value in record.items():
            if key.startswith(kind) and isinstance(value, float):
                shown.append(f"{key.split('/', 1)[1]} {value:.3f}")
    return ", ".join(shown)
