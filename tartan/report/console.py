"""What a run shows while it goes: a progress bar on a terminal, plain lines elsewhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from tartan.report.record import METRICS, REPORT, SUMMARY, MetricsFile, Record
from tartan.report.tracker import RunTracker
from tartan.weighting import Cost


class RunConsole:
    """Shows a run's progress, and hands its records on to metrics.jsonl and a tracker.

    Attributes:
        tracker: where records also go, if anywhere.
    """

    def __init__(self, metrics: MetricsFile, console: Console | None = None) -> None:
        self._metrics = metrics
        self.tracker: RunTracker | None = None
        self._console = console or Console(soft_wrap=True, highlight=False)
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def begin(self, records: Sequence[Record]) -> None:
        """Have metrics.jsonl hold these records, and no more yet."""
        self._metrics.begin(records)

    def stage(
        self, name: str, objectives: tuple[str, ...], steps: int, taken: int, cost: Cost
    ) -> None:
        """Announce a stage; on a terminal, start its progress bar."""
        self._hide()
        self.notice(
            f"stage {name}: {', '.join(objectives)}; {steps} steps"
            f"{f', {taken} taken' if taken else ''}; each at most {plural(cost.backwards, 'pass')} "
            f"backward and {plural(cost.copies, 'copy')} of the body's gradient, "
            f"{cost.memory / 1e6:.0f} MB with parameters and moments, without activations"
        )
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[latest]}"),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task(name, total=steps, completed=taken, latest="")
            self._bar.start()

    def step(self) -> None:
        """Move the bar."""
        if self._bar:
            self._bar.advance(self._task)

    def record(self, record: Record) -> None:
        """Write a record, and show it where it says how dev does."""
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
        """Take the bar away, and close metrics.jsonl and the tracker."""
        self._hide()
        self._metrics.close()
        if self.tracker:
            self.tracker.close()

    def _hide(self) -> None:
        """Take the bar away."""
        if self._bar:
            self._bar.stop()
            self._bar = None


def outcome(summary: Mapping[str, Any], directory: Path) -> str:
    """What a run came to, in three lines."""
    scores = [
        f"{split} {name} {value:.4f}"
        for split in ("dev", "test")
        for name, value in summary[split].items()
    ]
    files = (REPORT, SUMMARY, METRICS)
    left = [*(name for name in files if (directory / name).exists()), "checkpoints/", "model/"]
    weights = [f"{name} {value:.3f}" for name, value in summary["weights"].items()]
    return (
        f"best model of step {summary['best_step']}: {', '.join(scores)}\n"
        f"weights: {', '.join(weights)}\n"
        f"in {directory}: {', '.join(left)}"
    )


def short(record: Mapping[str, float | int | str], kinds: tuple[str, ...]) -> str:
    """The figures of some kinds in a line: `macro_f1 0.71, loss/mlm 3.2`."""
    shown = []
    for kind in kinds:
        for key, value in record.items():
            if key.startswith(kind) and isinstance(value, float):
                shown.append(f"{key.split('/', 1)[1]} {value:.3f}")
    return ", ".join(shown)


def plural(count: int, word: str) -> str:
    """A count and its noun: `1 pass`, `3 passes`, `2 copies`."""
    if count == 1:
        return f"1 {word}"
    ending = f"{word[:-1]}ies" if word.endswith("y") else f"{word}es"
    return f"{count} {ending}"
