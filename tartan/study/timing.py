"""Measure how long a run takes, over the first steps of each of its stages."""

import time
from collections import defaultdict

import torch

from tartan.experiment.build import Experiment
from tartan.train.evaluate import evaluate
from tartan.train.runtime import Runtime
from tartan.train.schedule import StagePlan
from tartan.train.setup import Setup
from tartan.train.stage import Stage
from tartan.weighting import Needs

STEPS = 3
"""How many steps of a kind are measured, after one that is not."""
FEWEST = 20
"""A run of fewer steps takes about as long as measuring it, and is not measured."""


def seconds_of(experiment: Experiment) -> float | None:
    """Return how many seconds a run takes at most; None for a run of fewer than FEWEST steps.

    Parameters change: the experiment cannot be trained afterwards. Early stopping and the time
    that a run needs to start and to write its files are left out.

    Raises:
        TartanError: a step is refused, for example for lack of memory.
    """
    setup, stages = experiment.setup, experiment.stages.values()
    if sum(stage.steps for stage in stages) < FEWEST:
        return None
    evaluations = 2  # dev and test, at the end
    seconds, first = 0.0, 0
    for plan in stages:
        seconds += _stage(setup, plan, first)
        first += plan.steps
        if plan.trains_primary:
            evaluations += -(-plan.steps // experiment.milestones.evaluate)
    return seconds + evaluations * _evaluation(setup, experiment.milestones.batch_size)


def _stage(setup: Setup, plan: StagePlan, first: int) -> float:
    """Return the seconds of a stage's steps; steps that measure the same take the same time."""
    stage = Stage(setup, plan, first=first)
    kinds: dict[Needs, list[int]] = defaultdict(list)
    for step in range(first, first + plan.steps):
        kinds[stage.weighting.due(step)].append(step)
    seconds = 0.0
    for steps in kinds.values():
        stage.take(steps[0])  # allocates, and on a GPU compiles
        measured = steps[1 : 1 + STEPS] or steps[:1]
        start = _now(setup.runtime)
        for step in measured:
            stage.take(step)
        seconds += (_now(setup.runtime) - start) / len(measured) * len(steps)
    return seconds


def _evaluation(setup: Setup, batch_size: int) -> float:
    """Return the seconds of an evaluation on dev, measured on a few rows of it."""
    chosen = [setup.dev[index] for index in range(min(2 * batch_size, len(setup.dev)))]
    start = _now(setup.runtime)
    evaluate(setup.model, chosen, batch_size, setup.runtime)
    return (_now(setup.runtime) - start) / len(chosen) * len(setup.dev)


def _now(runtime: Runtime) -> float:
    """Return the time when the device has done what it was given, in seconds."""
    if runtime.device.type == "cuda":
        torch.cuda.synchronize(runtime.device)
    return time.perf_counter()
