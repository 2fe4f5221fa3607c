"""How far a run is: what a checkpoint holds besides parameters and states."""

from dataclasses import dataclass, field
from typing import Any

from tartan.train.history import History


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        stage: index of the current stage in the schedule.
        step: steps taken since the start of the run.
        processed: the step up to which lines, evaluations and checkpoints are done: `step`, or the
            one before it.
        first: steps that had been taken when the current stage began.
        without_primary: of each complete stage that did not train the end task, the steps that had
            been taken when it began and when it ended.
        best: the best value of the chosen metric so far; None before the first evaluation.
        best_step: the step it was reached at.
        waited: evaluations of this stage since the best value rose.
        skipped: steps that were skipped because a loss or gradient was not finite.
        seconds: time spent on steps and evaluations; writing checkpoints is not counted.
        step_seconds: time spent on steps alone, in seconds.
        weights: the objectives' weights at the end of the last stage with several objectives.
        collapsed: by stage, the step at which the end task's weight was found to have collapsed.
        missed: by objective, the steps that did not compute it because the weighting chose others.
        finished: whether training is over.
        history: the lines of metrics.jsonl; checkpoints keep it in a file of its own.
    """

    stage: int = 0
    step: int = 0
    processed: int = 0
    first: int = 0
    without_primary: list[list[int]] = field(default_factory=list)
    best: float | None = None
    best_step: int = 0
    waited: int = 0
    skipped: int = 0
    seconds: float = 0.0
    step_seconds: float = 0.0
    weights: dict[str, float] = field(default_factory=dict)
    collapsed: dict[str, int] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    finished: bool = False
    history: History = field(default_factory=History, compare=False)

    def primary_steps(self, step: int) -> int:
        """Return how many of the run's first `step` steps trained the end task.

        Those of the current stage are counted.
        """
        spans = ((min(first, step), min(end, step)) for first, end in self.without_primary)
        return step - sum(end - first for first, end in spans)

    def closed(self, evaluated: bool) -> bool:
        """Return whether the last step has what the end of a stage has: a line of metrics.

        Args:
            evaluated: whether that line has an evaluation, as in stages that train the end task.
        """
        line = self.history.records[-1] if self.history.records else {}
        scored = any(name.startswith("eval/") for name in line)
        return line.get("step") == self.step and (scored or not evaluated)

    def plain(self) -> dict[str, Any]:
        """Return everything but the history, as JSON holds it."""
        return {name: value for name, value in vars(self).items() if name != "history"}
