"""What is due after a step: a line of metrics, an evaluation, a checkpoint."""

from dataclasses import dataclass

from tartan.train.schedule import StagePlan


@dataclass(frozen=True)
class Due:
    """What is due after one step.

    Attributes:
        line: a line of training metrics.
        evaluation: an evaluation on dev.
        checkpoint: a checkpoint.
    """

    line: bool
    evaluation: bool
    checkpoint: bool


@dataclass(frozen=True)
class Milestones:
    """When a run logs, evaluates and saves.

    Attributes:
        evaluate: steps between evaluations on dev.
        metric: the metric of early stopping and of the best model.
        batch_size: rows an evaluation reads at once.
        log: steps between lines of training metrics.
        checkpoint: steps between checkpoints.
        max_skipped: how many non-finite steps may be skipped; None to stop at the first.
    """

    evaluate: int
    metric: str
    batch_size: int
    log: int
    checkpoint: int
    max_skipped: int | None = None

    def due(self, plan: StagePlan, taken: int) -> Due:
        """Return what is due when `taken` steps of a stage have been taken.

        They are more than its steps where a run resumes with fewer than it has taken.

        The end of a stage has a checkpoint of its own, of the best model.
        """
        last = taken >= plan.steps
        evaluation = plan.trains_primary and (last or taken % self.evaluate == 0)
        line = evaluation or last or taken % self.log == 0
        return Due(line, evaluation, checkpoint=taken % self.checkpoint == 0 and not last)
