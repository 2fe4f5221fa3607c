"""The stages of a run: checked, and completed with the run's own values; and its milestones."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from torch import nn

from tartan.checks import check_choice, check_range, check_ranges
from tartan.config.parse import options, placed
from tartan.config.schema import Config
from tartan.errors import ConfigError
from tartan.experiment.sections import Section, sections_of
from tartan.experiment.weightings import Weightings
from tartan.train.milestones import Milestones
from tartan.train.model import JointModel
from tartan.train.objective_scale import ObjectiveScale
from tartan.train.optimiser import OptimiserOptions
from tartan.train.schedule import SELECTIONS, StageOptions, StagePlan, check_listed, check_selection

SCALES = ("scale", "schedule")
"""Options of every objective that scale its loss."""


def trained_sections(config: Config) -> tuple[Section, ...]:
    """Return the sections of the objectives that some stage trains, the primary's first.

    Raises:
        ConfigError: there is no stage, or one selects objectives that the run does not have.
    """
    if not config.schedule.stages:
        raise ConfigError("schedule.stages is empty: give at least one stage")
    sections = sections_of(config)
    primary = sections[0].name
    if primary in config.objectives:
        raise ConfigError(
            f"objectives.{primary} has the end task's name: give the auxiliary objective another"
        )
    for section in sections:
        check_name(section.name)
        check_range(f"{section.where}.batch_size", section.batch_size, "[1, inf)")
        if section.max_tokens is not None:
            check_range(f"{section.where}.max_tokens", section.max_tokens, "[1, inf)")
    names = tuple(section.name for section in sections)
    stages = config.schedule.stages
    for name, stage in stages.items():
        check_selection(stage.objectives, names, f"schedule.stages.{name}.objectives")
    check_listed(stages, names)
    used = {primary}.union(*(stage.select(names) for stage in stages.values()))
    return tuple(section for section in sections if section.name in used)


def trains_end_task_head(model: JointModel, stages: Mapping[str, StagePlan]) -> bool:
    """Return whether some stage trains the end task's head: the end task, or what uses its head."""
    trained = {name for stage in stages.values() for name in stage.names}
    return any(n == model.primary or model.objective(n).uses_end_task for n in trained)


def objective_scales(
    sections: Sequence[Section], stages: Mapping[str, StageOptions]
) -> dict[str, ObjectiveScale]:
    """Return the scale of each objective's loss, by name.

    Args:
        sections: the objectives' parts of the configuration, the primary's first.
        stages: by name.

    Raises:
        ConfigError: a scale has no meaning: its value, or because the objective trains alone.
    """
    found: dict[str, ObjectiveScale] = {}
    for section in sections:
        given = {key: section.values[key] for key in SCALES if key in section.values}
        scale = options(ObjectiveScale, given, section.where)
        scale.check(section.where)
        found[section.name] = scale
    if alone := scaled_alone(sections, stages):
        raise ConfigError(next(iter(alone.values())))
    return found


def scaled_alone(sections: Sequence[Section], stages: Mapping[str, StageOptions]) -> dict[str, str]:
    """Return the options that scale the loss of an objective that trains alone in every stage.

    Args:
        sections: the objectives' parts of the configuration, the primary's first.
        stages: by name.

    Returns:
        By option, the reason why it has no meaning.
    """
    names = [section.name for section in sections]
    together = [trained for s in stages.values() if len(trained := s.select(names)) > 1]
    return {
        f"{section.where}.{key}": f"{section.where}.{key}={section.values[key]}: {section.name} "
        "trains alone in every stage, and a scale is relative to other objectives: set "
        "optimizer.body_lr and optimizer.head_lr instead."
        for section in sections
        if not any(section.name in trained for trained in together)
        for key in SCALES
        if section.values.get(key, getattr(ObjectiveScale, key)) != getattr(ObjectiveScale, key)
    }


def can_name(name: str) -> bool:
    """Return whether a name can be an objective's: of metrics, parameters and options."""
    taken = name in SELECTIONS or hasattr(nn.ModuleDict(), name)
    return not taken and re.fullmatch(r"\w[\w-]*", name) is not None


def check_name(name: str) -> None:
    """ConfigError unless a name can be an objective's."""
    if not can_name(name):
        raise ConfigError(
            f"objectives.{name}: no objective can have this name: give it another, of letters, "
            "digits, _ and -"
        )


def stage_plans(
    config: Config,
    weightings: Weightings,
    names: tuple[str, ...],
    steps_of: Callable[[float], int],
) -> dict[str, StagePlan]:
    """Return the stages with every number and choice their own; what they do not set is the run's.

    Args:
        config: the run's.
        weightings: gives the run's own weighting to the stages that have none.
        names: the run's objectives, the primary first.
        steps_of: returns the steps of a number of passes over the end task's rows.

    Raises:
        ConfigError: a stage's number or optimizer has no meaning.
    """
    return {
        name: _plan(stage, f"schedule.stages.{name}", config, weightings, names, steps_of)
        for name, stage in config.schedule.stages.items()
    }


def _plan(
    stage: StageOptions,
    where: str,
    config: Config,
    weightings: Weightings,
    names: tuple[str, ...],
    steps_of: Callable[[float], int],
) -> StagePlan:
    """Return one stage with every number and choice its own."""
    check_ranges(where, stage, epochs="[0, inf) or null", patience="[0, inf)")
    if stage.epochs is not None and stage.steps != config.steps:
        raise ConfigError(
            f"{where}.steps={stage.steps}: the stage's budget is {where}.epochs={stage.epochs:g}: "
            f"set {where}.epochs=null too, or leave steps out"
        )
    steps = stage.steps if stage.epochs is None else steps_of(stage.epochs)
    check_range(f"{where}.steps", steps, "[0, inf)")
    merged = {**asdict(config.optimizer), **stage.optimizer}
    with placed("optimizer", f"{where}.optimizer"):
        optimizer = options(OptimiserOptions, merged, "optimizer")
    trained = stage.select(names)
    return StagePlan(
        names=trained,
        weighting=weightings.section(stage.weighting, f"{where}.weighting"),
        steps=steps,
        patience=stage.patience,
        optimizer=optimizer,
        trains_primary=names[0] in trained,
        selection=_selection(stage.objectives, names[0]),
    )


def _selection(objectives: Any, primary: str) -> str:
    """Return a stage's `objectives` as text, in which the end task is `primary`."""
    if isinstance(objectives, str):
        return objectives
    return ", ".join("primary" if name == primary else name for name in objectives)


def milestones(
    config: Config, metrics: tuple[str, ...], steps_of: Callable[[float], int]
) -> Milestones:
    """Return when a run evaluates, logs and writes checkpoints.

    ConfigError if `eval.metric` is not one of the end task's metrics.
    """
    metric = config.eval.metric or metrics[0]
    check_choice("eval.metric", metric, metrics)
    epochs = config.eval.epochs
    return Milestones(
        evaluate=config.eval.every if epochs is None else steps_of(epochs),
        metric=metric,
        batch_size=config.eval.batch_size,
        log=config.log.every,
        checkpoint=config.checkpoint.every,
        max_skipped=config.max_skipped if config.on_nonfinite == "skip" else None,
    )
