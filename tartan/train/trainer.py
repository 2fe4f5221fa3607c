"""Training through a schedule: stages in turn, evaluation, early stopping, checkpoints."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tartan.errors import DivergenceError
from tartan.train.checkpoint import Checkpoints, Progress
from tartan.train.evaluate import evaluate
from tartan.train.observer import Observer
from tartan.train.stage import Setup, Stage, StageOptions


@dataclass(frozen=True)
class Milestones:
    """When a run does more than step.

    Attributes:
        evaluate: steps between evaluations on dev.
        metric: the metric that early stopping and the best model go by.
        batch_size: rows an evaluation reads at once.
        log: steps between lines of training metrics.
        checkpoint: steps between checkpoints.
    """

    evaluate: int
    metric: str
    batch_size: int
    log: int
    checkpoint: int


class Trainer:
    """Trains a model through a schedule, and leaves it with the best parameters."""

    def __init__(
        self,
        setup: Setup,
        stages: Mapping[str, StageOptions],
        milestones: Milestones,
        checkpoints: Checkpoints,
        observer: Observer,
    ) -> None:
        self._setup, self._stages, self._milestones = setup, list(stages.items()), milestones
        self._checkpoints, self._observer = checkpoints, observer

    def train(self) -> Progress:
        """Train from where the newest checkpoint is, or from the start, to the end."""
        progress, state = Progress(), None
        if newest := self._checkpoints.newest():
            state, progress = self._checkpoints.load(newest, self._setup.model)
        while not progress.finished:
            self._stage(progress, state)
            state = None
        return progress

    def _stage(self, progress: Progress, state: Mapping[str, Any] | None) -> None:
        """Train one stage, and leave the model at its best so far."""
        name, options = self._stages[progress.stage]
        stage = Stage(self._setup, options)
        if state:
            stage.load_state_dict(state)
        taken = progress.step - progress.first
        self._observer.stage(name, stage.names, options.steps, taken, stage.cost)
        while progress.step - progress.first < options.steps and not _exhausted(options, progress):
            began = time.perf_counter()
            stage.take(progress.step)
            progress.step += 1
            self._observer.step()
            means = self._means(stage, progress)  # waits for the device, so time it with the steps
            progress.step_seconds += time.perf_counter() - began
            self._milestone(stage, progress, means)
            progress.seconds += time.perf_counter() - began
        self._end(stage, progress)

    def _evaluates(self, progress: Progress) -> bool:
        """Whether an evaluation is due."""
        _, options = self._stages[progress.stage]
        taken = progress.step - progress.first
        return options.evaluates and (
            taken == options.steps or taken % self._milestones.evaluate == 0
        )

    def _means(self, stage: Stage, progress: Progress) -> dict[str, float]:
        """The training metrics since the last line, where one is due.

        DivergenceError if one is not finite.
        """
        _, options = self._stages[progress.stage]
        taken = progress.step - progress.first
        logs = taken == options.steps or taken % self._milestones.log == 0
        means = stage.window.take() if logs or self._evaluates(progress) else {}
        for key, value in means.items():
            if not math.isfinite(value):
                raise DivergenceError(
                    f"{key} is {value} at step {progress.step}: lower optimizer.body_lr and "
                    "optimizer.head_lr, or clip harder; what was written stays"
                )
        return means

    def _milestone(self, stage: Stage, progress: Progress, means: Mapping[str, float]) -> None:
        """What is due after a step: a line, an evaluation, a checkpoint."""
        name, options = self._stages[progress.stage]
        due, taken = self._milestones, progress.step - progress.first
        last = taken == options.steps
        record: dict[str, float | int | str] = {"step": progress.step, "stage": name, **means}
        if self._evaluates(progress):
            record |= self._evaluate(progress)
        if len(record) > 2:
            self._observer.record(record)
        if taken % due.checkpoint == 0 and not last:
            self._checkpoints.save(self._setup.model, stage.state_dict(), progress)

    def _evaluate(self, progress: Progress) -> dict[str, float]:
        """Score dev; keep the model if it is the best so far. A tie is not better."""
        setup, due = self._setup, self._milestones
        scores = evaluate(setup.model, setup.dev, due.batch_size, setup.runtime)
        if progress.best is None or scores[due.metric] > progress.best:
            progress.best, progress.best_step = scores[due.metric], progress.step
            progress.waited = 0
            self._checkpoints.save_best(setup.model)
        else:
            progress.waited += 1
        return {f"eval/{name}": value for name, value in scores.items()}

    def _end(self, stage: Stage, progress: Progress) -> None:
        """Go on to the next stage from the best model so far, and make that a checkpoint."""
        if progress.best is not None:
            self._checkpoints.load_best(self._setup.model)
        if len(stage.names) > 1 or not progress.weights:
            progress.weights = stage.weights()
        progress.stage += 1
        progress.first, progress.waited = progress.step, 0
        progress.finished = progress.stage == len(self._stages)
        self._checkpoints.save(self._setup.model, {}, progress)


def _exhausted(options: StageOptions, progress: Progress) -> bool:
    """Whether evaluations went on without a better value for as long as patience lasts."""
    return 0 < options.patience <= progress.waited
