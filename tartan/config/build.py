"""From a typed configuration to what a run trains: data, model, objectives, stages."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from datasets import Dataset

from tartan.body import AutoOptions, LiftedHead, ModelSource, TinyOptions
from tartan.config.parse import options
from tartan.config.schema import Config, StageConfig
from tartan.config.weightings import Weightings
from tartan.data import Stream, Task, find_source, train_tokenizer
from tartan.data.hold_out import hold_out
from tartan.errors import ConfigError, suggest
from tartan.objective import Objective, PrimaryObjective
from tartan.plugins import Plugins
from tartan.seeding import seeded
from tartan.train.context import TaskContext, Texts
from tartan.train.model import JointModel
from tartan.train.optimiser import OptimiserOptions
from tartan.train.runtime import Runtime
from tartan.train.stage import Setup, Stage, StageOptions
from tartan.train.trainer import Milestones

Section = Mapping[str, Any]
"""One objective's part of the configuration: `plugin`, `batch_size` and the plugin's options."""


@dataclass(frozen=True)
class Experiment:
    """All that a run needs, built and checked; nothing has been written yet.

    Attributes:
        task: the end task.
        texts: its texts, tokenised.
        setup: what is trained, on what, with what.
        stages: the schedule.
        milestones: when a run does more than step.
        notices: what the user should know before it starts, a line each.
    """

    task: Task
    texts: Texts
    setup: Setup
    stages: Mapping[str, StageOptions]
    milestones: Milestones
    notices: Sequence[str]


def build(config: Config, plugins: Plugins) -> Experiment:
    """Build a run. TartanError where anything of it cannot be used."""
    runtime = Runtime.choose(config.device, config.precision)
    sections = _sections(config)
    primary, *_ = sections
    weightings = Weightings(config.weighting, plugins, runtime.device)
    probe = weightings.probe(tuple(sections))
    task = _load_task(config.data)
    texts = Texts(task, _load_model(config.model, task))
    train, held_out = hold_out(
        texts.split("train"), probe.held_out if probe and probe.split == "train" else 0, config.seed
    )
    model = _load_joint_model(sections, texts, train, plugins, config.seed).to(runtime.device)
    setup = Setup(
        model,
        {
            name: Stream(model.objective(name).examples(), section["batch_size"], config.seed, name)
            for name, section in sections.items()
        },
        weightings.make,
        texts.split("dev"),
        held_out if len(held_out) else texts.split("dev"),
        runtime,
        config.seed,
        config.accumulate,
    )
    steps_an_epoch = len(train) / (sections[primary]["batch_size"] * config.accumulate)
    stages = {
        name: _stage_options(name, stage, config.optimizer, steps_an_epoch)
        for name, stage in config.schedule.stages.items()
    }
    for stage in stages.values():
        Stage(setup, stage)  # what a stage refuses, it refuses before anything is written
    return Experiment(
        task, texts, setup, stages, _milestones(config, model), _notices(config, task, texts)
    )


def _sections(config: Config) -> dict[str, Section]:
    """The objectives that a stage trains, by name, the primary first."""
    stages = config.schedule.stages
    if not stages:
        raise ConfigError("schedule.stages is empty: give at least one stage")
    primary = str(config.primary["plugin"])
    if primary in config.objectives:
        raise ConfigError(
            f"objectives.{primary} has the end task's name: give the auxiliary objective another"
        )
    for name, section in {primary: config.primary, **config.objectives}.items():
        if section["batch_size"] < 1:
            raise ConfigError(f"{name}: batch_size={section['batch_size']}: give at least 1")
    auxiliary = dict(config.objectives) if _trains_auxiliary(config) else {}
    for name, stage in stages.items():
        if stage.objectives == "auxiliary" and not auxiliary:
            raise ConfigError(
                f"stage {name} trains auxiliary objectives and there are none: "
                "name some, 'objectives=[mlm]', or choose schedule=finetune"
            )
    return {primary: config.primary, **auxiliary}


def _trains_auxiliary(config: Config) -> bool:
    return any(stage.objectives != "primary" for stage in config.schedule.stages.values())


def _load_task(section: Mapping[str, Any]) -> Task:
    """The end task of the section `data`."""
    source = find_source(section["source"])
    values = {key: value for key, value in section.items() if key not in ("source", "metric")}
    task: Task = source.load(options(source.options, values, "data"))
    return task


def _load_model(section: Mapping[str, Any], task: Task) -> ModelSource:
    """Where the section `model` takes body and heads from."""
    kinds: dict[str, type[TinyOptions | AutoOptions]] = {"tiny": TinyOptions, "auto": AutoOptions}
    if section["kind"] not in kinds:
        raise ConfigError(f"model.kind={section['kind']}: {suggest(section['kind'], kinds)}")
    chosen = options(kinds[section["kind"]], section, "model")
    if isinstance(chosen, AutoOptions):
        return ModelSource.pretrained(chosen)
    tokenizer = train_tokenizer(task.corpora["task"]["text"], chosen.vocab_size)
    return ModelSource.tiny(tokenizer, chosen)


def _load_joint_model(
    sections: Mapping[str, Section], texts: Texts, train: Dataset, plugins: Plugins, seed: int
) -> JointModel:
    """The body and every objective on it."""
    with seeded(seed, "body"):
        body = texts.source.body()
    objectives: dict[str, Objective] = {}
    for name, section in sections.items():
        cls = plugins.objective(section["plugin"])
        values = {k: v for k, v in section.items() if k not in ("plugin", "batch_size")}
        where = f"objectives.{name}" if objectives else "primary"
        context = TaskContext(name, texts, train, body, seed)
        with seeded(seed, "objective", name):
            objectives[name] = cls(options(cls.Options, values, where), context)
    primary = next(iter(objectives))
    end_task = objectives[primary]
    if not isinstance(end_task, PrimaryObjective):
        raise ConfigError(f"primary={primary} cannot be the end task: it predicts nothing")
    if not isinstance(end_task.head, LiftedHead):
        raise ConfigError(f"primary={primary} has a head of its own, which cannot be exported")
    return JointModel(body, primary, objectives)


def _stage_options(
    name: str, stage: StageConfig, run: OptimiserOptions, steps_an_epoch: float
) -> StageOptions:
    """A stage's options: its own where it has them, else the run's."""
    optimizer = options(
        OptimiserOptions, {**asdict(run), **stage.optimizer}, f"schedule.stages.{name}.optimizer"
    )
    steps = stage.steps if stage.epochs is None else math.ceil(stage.epochs * steps_an_epoch)
    return StageOptions(stage.objectives, stage.weighting, steps, stage.patience, optimizer)


def _milestones(config: Config, model: JointModel) -> Milestones:
    """When a run evaluates, logs and writes checkpoints."""
    metric = config.eval.metric
    if metric not in model.end_task.metrics:
        raise ConfigError(f"eval.metric={metric}: {suggest(metric, model.end_task.metrics)}")
    return Milestones(
        evaluate=config.eval.every,
        metric=metric,
        batch_size=config.eval.batch_size,
        log=config.log.every,
        checkpoint=config.checkpoint.every,
    )


def _notices(config: Config, task: Task, texts: Texts) -> list[str]:
    """What the user should know of the run."""
    notices = [
        f"{count} texts of the {corpus} corpus stand in dev or test and are left out"
        for corpus, count in task.dropped.items()
        if count
    ]
    notices += [
        f"{count} texts of {name} are longer than {texts.source.max_length} tokens and are cut"
        for name, count in texts.truncated.items()
    ]
    if config.objectives and not _trains_auxiliary(config):
        notices.append(f"no stage trains {', '.join(config.objectives)}: left out")
    return notices
