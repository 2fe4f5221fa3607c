"""Events of a run, for logs and progress bars."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tartan.weighting import Cost

Record = Mapping[str, float | int | str]
"""One line of metrics: `step`, `stage`, `train/...` and `eval/...`."""


class Observer(Protocol):
    """Listens to a run: writes its metrics, shows its progress."""

    def begin(self, records: Sequence[Record]) -> None:
        """A run begins, or resumes after the records it has."""

    def stage(
        self, name: str, objectives: tuple[str, ...], steps: int, taken: int, cost: Cost
    ) -> None:
        """A stage begins or resumes: objectives, budget, steps taken of it, a step's cost."""

    def step(self) -> None:
        """A step has been taken."""

    def record(self, record: Record) -> None:
        """Something was measured."""

    def notice(self, text: str) -> None:
        """Something the user should know, in one line."""
