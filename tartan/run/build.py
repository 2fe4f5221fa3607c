"""From a typed configuration to what a run trains: data, model, objectives, stages."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from tartan.body import AutoOptions, Body, LiftedHead, ModelSource, TinyOptions
from tartan.config.parse import options
from tartan.config.schema import Config, StageConfig
from tartan.data import Stream, Task, train_tokenizer
from tartan.data.cache import caching
from tartan.data.hold_out import hold_out
from tartan.errors import ConfigError, suggest
from tartan.objective import Objective, PrimaryObjective
from tartan.plugins import RESERVED, Plugins
from tartan.run.notices import auxiliary_notices, end_task_notices
from tartan.run.tasks import Section, end_task_class, load_auxiliary, load_section
from tartan.run.weightings import Weightings
from tartan.seeding import seeded
from tartan.train.context import TaskContext, Texts, Training
from tartan.train.memory import keep_freed_memory
from tartan.train.model import JointModel
from tartan.train.optimiser import OptimiserOptions
from tartan.train.runtime import Runtime
from tartan.train.stage import Setup, Stage, StageOptions
from tartan.train.trainer import Milestones


@dataclass(frozen=True)
class Experiment:
    """All that a run needs, built and checked; nothing has been written yet.

    Attributes:
        task: the end task.
        texts: its texts, tokenised.
        auxiliary: by name of an auxiliary objective on labels, the texts it is trained on.
        setup: what is trained, on what, with what.
        stages: the schedule.
        milestones: when a run does more than step.
        notices: what the user should know before it starts, a line each.
        probe_split: the split that the dev gradient is taken from; None where there is none.
    """

    task: Task
    texts: Texts
    auxiliary: Mapping[str, Texts]
    setup: Setup
    stages: Mapping[str, StageOptions]
    milestones: Milestones
    notices: Sequence[str]
    probe_split: str | None


def build(config: Config, plugins: Plugins) -> Experiment:
    """Build a run. TartanError where anything of it cannot be used."""
    keep_freed_memory()
    with caching(config.cache):
        return _build(config, plugins)


def _build(config: Config, plugins: Plugins) -> Experiment:
    runtime = Runtime.choose(config.device, config.precision)
    runtime.reset_peak_memory()
    sections = _sections(config)
    primary, *_ = sections
    weightings = Weightings(config.weighting, plugins, runtime.device)
    probe = weightings.probe(tuple(sections))
    end_task = end_task_class(config.primary["plugin"], plugins)
    task = load_section(config.data, end_task.reads)
    texts = Texts(task, _load_model(config.model, task))
    lent = {
        name: found
        for name, section in sections.items()
        if name != primary and (found := load_auxiliary(name, section, plugins, task))
    }
    auxiliary = {name: Texts(part, texts.source) for name, (part, _) in lent.items()}
    train, held_out = hold_out(
        texts.split("train"), probe.held_out if probe and probe.split == "train" else 0, config.seed
    )
    training = {name: other.training(other.split("train")) for name, other in auxiliary.items()}
    training = dict.fromkeys(sections, texts.training(train)) | training
    model = _load_joint_model(sections, training, texts.source, plugins, config.seed)
    model.to(runtime.device)
    attention = _accelerate(model.body, runtime, compiled=config.compile)
    setup = Setup(
        model,
        {
            name: Stream(model.objective(name).examples(), section["batch_size"], config.seed, name)
            for name, section in sections.items()
        },
        weightings.make,
        texts.split("dev"),
        held_out if probe and probe.split == "train" else texts.split("dev"),
        runtime,
        config.seed,
        config.accumulate,
        late=config.on_nonfinite == "stop" and runtime.device.type == "cuda",
    )
    steps_an_epoch = len(train) / (sections[primary]["batch_size"] * config.accumulate)
    stages = {
        name: _stage_options(name, stage, config.optimizer, steps_an_epoch)
        for name, stage in config.schedule.stages.items()
    }
    for stage in stages.values():
        Stage(setup, stage)  # what a stage refuses, it refuses before anything is written
    texts.split("test")  # tokenised with the others, so that what is to be said of it is said
    notices = [
        *attention,
        *end_task_notices(texts),
        *auxiliary_notices({name: dropped for name, (_, dropped) in lent.items()}, auxiliary),
    ]
    if config.objectives and not _trains_auxiliary(config):
        notices.append(f"no stage trains {', '.join(config.objectives)}: left out")
    milestones = _milestones(config, model, steps_an_epoch)
    split = probe.split if probe else None
    return Experiment(task, texts, auxiliary, setup, stages, milestones, notices, split)


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
        check_name(name)
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


def check_name(name: str) -> None:
    """ConfigError unless a name can be an objective's: of metrics, parameters and options."""
    if not re.fullmatch(r"\w[\w-]*", name) or hasattr(nn.ModuleDict(), name):
        raise ConfigError(
            f"objectives.{name}: no objective can have this name: give it another, of letters, "
            "digits, _ and -"
        )


def _trains_auxiliary(config: Config) -> bool:
    return any(stage.objectives != "primary" for stage in config.schedule.stages.values())


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
    sections: Mapping[str, Section],
    training: Mapping[str, Training],
    source: ModelSource,
    plugins: Plugins,
    seed: int,
) -> JointModel:
    """The body and every objective on it."""
    with seeded(seed, "body"):
        body = source.body()
    objectives: dict[str, Objective] = {}
    for name, section in sections.items():
        cls = plugins.objective(section["plugin"])
        values = {key: value for key, value in section.items() if key not in RESERVED}
        where = f"objectives.{name}" if objectives else "primary"
        end_task = next(iter(objectives.values()), None)
        assert end_task is None or isinstance(end_task, PrimaryObjective)
        context = TaskContext(name, training[name], body, seed, end_task)
        with seeded(seed, "objective", name):
            objectives[name] = cls(options(cls.Options, values, where), context)
    model = JointModel(body, next(iter(objectives)), objectives)
    if not isinstance(model.end_task.head, LiftedHead):
        raise ConfigError(
            f"primary={model.primary} has a head of its own, which cannot be exported"
        )
    return model


def _accelerate(body: Body, runtime: Runtime, *, compiled: bool) -> list[str]:
    """Have a body on its device use what that has for it; a notice where something is missing."""
    if compiled:
        body.compile_layers()
    half = runtime.device.type == "cuda" and runtime.precision == "bf16"
    if half and body.packed and (reason := body.use_varlen(runtime.autocast())):
        return [f"attention in buckets, not by a variable-length kernel ({reason})"]
    return []


def _stage_options(
    name: str, stage: StageConfig, run: OptimiserOptions, steps_an_epoch: float
) -> StageOptions:
    """A stage's options: its own where it has them, else the run's."""
    optimizer = options(
        OptimiserOptions, {**asdict(run), **stage.optimizer}, f"schedule.stages.{name}.optimizer"
    )
    steps = stage.steps if stage.epochs is None else math.ceil(stage.epochs * steps_an_epoch)
    return StageOptions(stage.objectives, stage.weighting, steps, stage.patience, optimizer)


def _milestones(config: Config, model: JointModel, steps_an_epoch: float) -> Milestones:
    """When a run evaluates, logs and writes checkpoints."""
    metric = config.eval.metric or model.end_task.metrics[0]
    if metric not in model.end_task.metrics:
        raise ConfigError(f"eval.metric={metric}: {suggest(metric, model.end_task.metrics)}")
    epochs = config.eval.epochs
    return Milestones(
        evaluate=config.eval.every if epochs is None else math.ceil(epochs * steps_an_epoch),
        metric=metric,
        batch_size=config.eval.batch_size,
        log=config.log.every,
        checkpoint=config.checkpoint.every,
        max_skipped=config.max_skipped if config.on_nonfinite == "skip" else None,
    )
