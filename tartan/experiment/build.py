"""From a typed configuration to what a run trains: data, model, objectives, stages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tartan.config.schema import Config
from tartan.data import Stream, Task
from tartan.data.cache import caching, remove_abandoned
from tartan.data.token_stream import TokenStream
from tartan.distributed.accumulate import check_shares
from tartan.distributed.ranks import Ranks
from tartan.errors import ConfigError
from tartan.experiment.acceleration import accelerate
from tartan.experiment.model import load_joint_model, load_source, save_memory
from tartan.experiment.notices import (
    auxiliary_notices,
    body_notices,
    end_task_notices,
    unused_notices,
)
from tartan.experiment.schedule import (
    milestones,
    objective_scales,
    stage_plans,
    trained_sections,
    trains_end_task_head,
)
from tartan.experiment.sections import Section, all_factors, end_task_class
from tartan.experiment.sharding import divide
from tartan.experiment.tasks import Data, load_data, load_section
from tartan.experiment.texts import Texts
from tartan.experiment.weightings import Weightings
from tartan.objective import Objective
from tartan.plugins import Plugins
from tartan.train.dev_loss import check_rows
from tartan.train.milestones import Milestones
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime
from tartan.train.schedule import StagePlan
from tartan.train.setup import Setup
from tartan.weighting import ProbeOptions


@dataclass(frozen=True)
class Experiment:
    """All that a run needs, built and checked; nothing has been written yet.

    Attributes:
        texts: the end task's, tokenised.
        auxiliary: by name of an auxiliary objective on labels, the texts it is trained on.
        setup: what is trained, on what, with what.
        stages: the schedule.
        milestones: when a run does more than step.
        notices: what the user should know before it starts, a line each.
        probe_splits: the splits by whose gradient stages learn weights, `dev` and `train`, sorted.
    """

    texts: Texts
    auxiliary: Mapping[str, Texts]
    setup: Setup
    stages: Mapping[str, StagePlan]
    milestones: Milestones
    notices: Sequence[str]
    probe_splits: tuple[str, ...]

    @property
    def task(self) -> Task:
        """The end task."""
        return self.texts.task


def build(config: Config, plugins: Plugins, ranks: Ranks | None = None) -> Experiment:
    """Build a run, on each of several processes. TartanError where it cannot be used."""
    with caching(config.cache):
        return _build(config, plugins, ranks or Ranks())


def without_device(config: Config) -> Config:
    """Return a configuration of the same experiment that any machine can build, but not train."""
    return replace(config, device="cpu", precision="fp32", compile="false", cuda_graphs=False)


def _build(config: Config, plugins: Plugins, ranks: Ranks) -> Experiment:
    removed = ranks.by_first(remove_abandoned)
    with ranks.agreed():  # a device may be unusable in one process alone
        runtime = Runtime.choose(config.device, config.precision)
        runtime.configure(tf32=config.tf32)
        runtime.reset_peak_memory()
        sections = trained_sections(config)
        names = tuple(section.name for section in sections)
        factors = all_factors(sections, plugins)
        weightings = Weightings(config.weighting, plugins, runtime.device, factors)
        probes = weightings.probes(config.schedule.stages, names)
        end_task = end_task_class(sections[0].plugin, plugins)
        check_shares(config.accumulate, _batch_sizes(config, sections), ranks.size)
    # What follows waits for all processes; the first process of a machine fills the cache.
    with ranks.agreed(), ranks.in_turn():
        task = load_section(config.data, end_task.reads)
        source = load_source(config.model, task)
        data = load_data(task, source, sections, plugins, _held_out(probes), config.seed)
        _check_probes(probes, data)
        model, reported = load_joint_model(
            sections, data.training(names), source, plugins, config.seed
        )
        data.texts.split("test")  # tokenised with the others, so that its notices come with theirs
    save_memory(model.body, config.model)
    model.to(runtime.device)
    divided = divide(config, model, ranks)
    attention = accelerate(model.body, runtime, compiled=config.compile, graphs=config.cuda_graphs)
    setup = _setup(config, model, sections, data, weightings, runtime, ranks)
    steps = partial(setup.streams[model.primary].steps, accumulate=config.accumulate)
    stages = stage_plans(config, weightings, names, steps)
    learn = [name for name, stage in stages.items() if len(stage.names) > 1]
    splits = tuple(sorted({probes[name].split for name in learn if name in probes}))
    return Experiment(
        texts=data.texts,
        auxiliary=data.auxiliary,
        setup=setup,
        stages=stages,
        milestones=milestones(config, model.end_task.metrics, steps),
        notices=[
            *removed,
            *body_notices(model.body),
            *divided,
            *attention,
            *reported,
            *end_task_notices(data.texts),
            *auxiliary_notices(data.forbidden, data.auxiliary),
            *unused_notices(config.objectives, names, end_task=trains_end_task_head(model, stages)),
        ],
        probe_splits=splits,
    )


def _setup(
    config: Config,
    model: JointModel,
    sections: Sequence[Section],
    data: Data,
    weightings: Weightings,
    runtime: Runtime,
    ranks: Ranks,
) -> Setup:
    """Put together what is the same in every stage."""
    streams = {
        section.name: _stream(model.objective(section.name), section, config.seed)
        for section in sections
    }
    dev = data.texts.split("dev")
    return Setup(
        model=model,
        streams=streams,
        make_weighting=weightings.make,
        dev=dev,
        probed={"dev": dev, "train": data.held_out},
        runtime=runtime,
        seed=config.seed,
        accumulate=config.accumulate,
        scales=objective_scales(sections, config.schedule.stages),
        late=config.on_nonfinite == "stop" and runtime.device.type == "cuda",
        ranks=ranks,
    )


def _stream(objective: Objective, section: Section, seed: int) -> Stream:
    """Return an objective's batches, limited by tokens where its section says so, or by rows.

    ConfigError where it compares the rows of a batch, and every batch would have a single one.
    """
    kind = Stream if section.max_tokens is None else TokenStream
    most = section.values[kind.limit]
    stream = kind(objective.examples(), most, seed, section.name)
    if not objective.separable and most < (least := stream.least_for_two()):
        raise ConfigError(
            f"{section.where}.{kind.limit}={most}: a row has nothing to be compared with; "
            f"set at least {least}"
        )
    return stream


def _batch_sizes(config: Config, sections: Sequence[Section]) -> dict[str, int]:
    """Return the sizes of micro-batches by the option that sets them: the run's, or one's own."""
    sizes: dict[str, int] = {}
    for section in sections:
        where, size = section.where, section.batch_size
        if section.max_tokens is not None:
            sizes[f"{where}.max_tokens"] = section.max_tokens
        else:
            sizes["batch_size" if size == config.batch_size else f"{where}.batch_size"] = size
    return sizes


def _held_out(probes: Mapping[str, ProbeOptions]) -> float:
    """The share of the training rows that stages hold out for the dev gradient."""
    return max((p.held_out for p in probes.values() if p.split == "train"), default=0.0)


def _check_probes(probes: Mapping[str, ProbeOptions], data: Data) -> None:
    """ConfigError where a stage's dev gradient has too few rows, or leaves none to train on."""
    for probe in probes.values():
        if not len(data.train):
            raise ConfigError(
                f"weighting.probe.held_out={probe.held_out:g} leaves none of the "
                f"{len(data.held_out)} training rows to train on: give a smaller share"
            )
        check_rows(data.held_out if probe.split == "train" else data.texts.split("dev"), probe)
