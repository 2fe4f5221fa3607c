"""Training through a schedule: stages in turn, evaluation, early stopping, checkpoints."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tartan.errors import CheckpointError, Interrupted, StorageError
from tartan.train.checkpoint import Checkpoints, misfit
from tartan.train.collapse import collapse_notice, collapsed_share
from tartan.train.evaluate import evaluate
from tartan.train.finite import NonFiniteError, check_means, diverged
from tartan.train.interrupt import Interrupts
from tartan.train.milestones import Milestones
from tartan.train.non_finite_cause import find_cause
from tartan.train.observer import Observer, Record
from tartan.train.progress import Progress
from tartan.train.schedule import StagePlan
from tartan.train.setup import Setup
from tartan.train.stage import Stage


class Trainer:
    """Trains a model through a schedule, and ends with its best parameters.

    After a step, what is due is *processed*: a line of metrics, an evaluation, a checkpoint. A
    checkpoint may hold a step that has not been processed: a run that resumes from it processes the
    step first. So a step is not lost if processing it fails.
    """

    def __init__(
        self,
        setup: Setup,
        stages: Mapping[str, StagePlan],
        milestones: Milestones,
        checkpoints: Checkpoints,
        observer: Observer,
        interrupts: Interrupts,
    ) -> None:
        self._setup, self._stages, self._milestones = setup, list(stages.items()), milestones
        self._checkpoints, self._observer = checkpoints, observer
        self._interrupts = interrupts
        self._progress = Progress()
        self._state: Mapping[str, Any] = {}

    def resume(self, checkpoint: Path, *, rescored: bool = False) -> Progress:
        """Load a checkpoint and return how far the run was. CheckpointError if it is another's.

        Args:
            checkpoint: the newest usable one.
            rescored: whether scores are computed otherwise from now on, so that those of before
                say nothing of which model is the best.
        """
        self._progress = self._checkpoints.progress(checkpoint)
        if rescored and not self._progress.finished:
            self._progress = replace(self._progress, best=None, best_step=0, waited=0)
        state = self._checkpoints.load(checkpoint, self._setup.model)
        places = state.pop("streams", {})
        self._state = state
        if not self._progress.finished:
            try:
                for name, place in places.items():
                    self._setup.streams[name].load_state_dict(place)
                self._stage()
            except (IndexError, KeyError, ValueError, RuntimeError) as error:
                raise misfit(checkpoint, error) from error
        return self._progress

    def train(self) -> Progress:
        """Train to the end of the schedule.

        Raises:
            Interrupted: a signal came; the last step taken is saved.
            TartanError: training fails, or cannot be saved. A note on the error says which step is
                saved.
        """
        self._observer.begin(self._progress.history.records)
        with self._interrupts.deferred():
            while not self._progress.finished:
                stage, self._state = self._stage(), {}
                with self._saving(stage):
                    self._take_steps(stage)
                    stage.step.wait()
                    weights = stage.weights()
                self._end(stage, weights)
        return self._progress

    def _stage(self) -> Stage:
        """Make the current stage, in the state it has reached."""
        _, plan = self._stages[self._progress.stage]
        progress = self._progress
        steps_without_primary = progress.first - progress.primary_steps(progress.first)
        stage = Stage(self._setup, plan, steps_without_primary, progress.first, progress.missed)
        if self._state:
            stage.load_state_dict(self._state)
        return stage

    def _take_steps(self, stage: Stage) -> None:
        """Take the remaining steps of a stage."""
        name, plan = self._stages[self._progress.stage]
        taken = self._progress.step - self._progress.first
        self._observer.stage(name, stage.names, plan.steps, taken, stage.cost)
        if taken >= plan.steps and not self._progress.closed(plan.trains_primary):
            self._progress = replace(self._progress, processed=self._progress.step - 1)
        while True:
            if self._progress.processed < self._progress.step:
                self._process(stage)
            self._stop_if_asked(stage)
            taken = self._progress.step - self._progress.first
            if taken >= plan.steps or 0 < plan.patience <= self._progress.waited:
                return
            with self._timed("seconds", "step_seconds"):
                self._take(stage)
                step = self._progress.step
                missed = stage.step.turns.count(step)
                self._progress = replace(self._progress, step=step + 1, missed=missed)
            self._observer.step()

    def _take(self, stage: Stage) -> None:
        """Take one step. DivergenceError if it is not finite and none may be skipped."""
        try:
            stage.take(self._progress.step)
        except NonFiniteError as error:
            where, skipped = find_cause(self._setup, stage, error), self._progress.skipped
            limit = self._milestones.max_skipped
            if limit is None or skipped == limit:
                raise diverged(where, limit) from error
            self._progress = replace(self._progress, skipped=skipped + 1)
            self._observer.notice(f"{where}: skipped, {skipped + 1} of at most {limit}")

    def _check(self, stage: Stage) -> None:
        """DivergenceError unless all steps taken are known to be finite."""
        try:
            stage.step.guard.wait()
        except NonFiniteError as error:
            raise diverged(find_cause(self._setup, stage, error), None) from error

    def _process(self, stage: Stage) -> None:
        """Do what is due after a step: a line, an evaluation, a checkpoint."""
        name, plan = self._stages[self._progress.stage]
        due = self._milestones.due(plan, self._progress.step - self._progress.first)
        means: dict[str, float] = {}
        if due.line:
            with self._timed("seconds", "step_seconds"):  # it waits for steps under way
                self._check(stage)
                means = stage.window.means()
                check_means(means, self._progress.step)
        record: Record = {"step": self._progress.step, "stage": name, **means}
        line, changed = self._measured(stage, record, due.evaluation)
        if line:
            self._progress.history.add(line, self._progress.step_seconds)
        self._progress = replace(self._progress, processed=self._progress.step, **changed)
        if means:
            stage.window.clear()
            self._note_collapse(stage, name, means)
        if due.checkpoint:
            self._save(stage)

    def _note_collapse(self, stage: Stage, name: str, means: Mapping[str, float]) -> None:
        """Report, once a stage, that the end task counts for almost nothing."""
        primary, step = self._setup.model.primary, self._progress.step
        share = collapsed_share(stage.weighting, stage.names, primary, means)
        if share is not None and name not in self._progress.collapsed:
            collapsed = {**self._progress.collapsed, name: step}
            self._progress = replace(self._progress, collapsed=collapsed)
            self._observer.notice(
                collapse_notice(stage.weighting, primary, share, len(stage.names), step)
            )

    def _measured(
        self, stage: Stage, record: Record, evaluates: bool
    ) -> tuple[Record | None, dict[str, Any]]:
        """Evaluate, write the line, and save the model if it is the best so far.

        Of progress only the time changes here, so that all of it can be repeated.

        Returns:
            The line of metrics.jsonl, if there is one, and the values of `Progress` that change.
        """
        progress, milestones, setup = self._progress, self._milestones, self._setup
        scores: dict[str, float] = {}
        if evaluates:
            stop = partial(self._stop_if_asked, stage)
            with self._timed("seconds"):
                scores, _ = evaluate(
                    setup.model,
                    setup.dev,
                    milestones.batch_size,
                    setup.runtime,
                    stop,
                    setup.ranks,
                    choosing=True,
                )
            record = {**record, **{f"eval/{name}": value for name, value in scores.items()}}
        if len(record) <= 2:
            return None, {}
        self._observer.record(record)
        if not evaluates:
            return record, {}
        score = scores[milestones.metric]
        if progress.best is not None and score <= progress.best:  # a tie is not better
            return record, {"waited": progress.waited + 1}
        self._checkpoints.save_best(setup.model)
        return record, {"best": score, "best_step": progress.step, "waited": 0}

    def _end(self, stage: Stage, weights: dict[str, float]) -> None:
        """Load the best model so far if this stage was evaluated, and save a checkpoint.

        After the last stage it is loaded in any case: it is what a run exports.
        """
        progress = self._progress
        _, plan = self._stages[progress.stage]
        last = progress.stage + 1 == len(self._stages)
        span = [] if plan.trains_primary else [[progress.first, progress.step]]
        if progress.best is not None and (plan.trains_primary or last):
            self._checkpoints.load_best(self._setup.model)
        self._progress = replace(
            progress,
            stage=progress.stage + 1,
            first=progress.step,
            without_primary=[*progress.without_primary, *span],
            waited=0,
            weights=weights if len(stage.names) > 1 or not progress.weights else progress.weights,
            finished=last,
        )
        self._checkpoints.save(self._setup.model, self._stream_state(), self._progress)

    def _save(self, stage: Stage) -> None:
        """Write a checkpoint of the last step taken."""
        self._check(stage)
        state = {**stage.state_dict(), **self._stream_state()}
        self._checkpoints.save(self._setup.model, state, self._progress)

    def _stream_state(self) -> dict[str, Any]:
        """Return the places that streamed corpora have reached, by objective, if there are any."""
        found = {name: stream.state_dict() for name, stream in self._setup.streams.items()}
        places = {name: place for name, place in found.items() if place is not None}
        return {"streams": places} if places else {}

    def _stop_if_asked(self, stage: Stage) -> None:
        """Save and stop if a signal has arrived, in any process."""
        received, note = self._setup.ranks.signal(self._interrupts.received)
        if received is not None:
            self._save(stage)
            self._setup.ranks.wait()
            raise Interrupted(received, f"step {self._progress.step} is saved{note}")

    @contextmanager
    def _saving(self, stage: Stage) -> Iterator[None]:
        """If the block fails, save the last step taken; a note on the error says if that worked."""
        try:
            yield
        except (CheckpointError, StorageError):
            raise  # it is saving that failed
        except Exception as error:
            self._setup.ranks.failed(error)
            if self._setup.ranks.first:
                error.add_note(self._rescue(stage))
            raise

    def _rescue(self, stage: Stage) -> str:
        """Save the last step taken if possible; return a line about the result."""
        step = self._progress.step
        if stage.consistent and not self._setup.ranks.saves_jointly:
            with suppress(Exception):  # the first failure is the one to report
                self._save(stage)
                return f"step {step} is saved"
        return f"step {step} could not be saved; earlier checkpoints are kept"

    @contextmanager
    def _timed(self, *counters: str) -> Iterator[None]:
        """Add the time a block takes, in seconds, to counters of progress."""
        began = time.perf_counter()
        yield
        spent = time.perf_counter() - began
        times = {name: getattr(self._progress, name) + spent for name in counters}
        self._progress = replace(self._progress, **times)
