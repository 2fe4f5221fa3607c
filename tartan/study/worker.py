"""What a study's separate processes do: build its arms, time them, and run its runs."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from tartan.body.onnx import check_export
from tartan.config.parse import parse
from tartan.config.schema import Config
from tartan.distributed.ranks import Ranks
from tartan.errors import ConfigError, MissingCorpusError, TartanError, located
from tartan.experiment.blame import blamed
from tartan.experiment.build import Experiment, build, without_device
from tartan.experiment.identity import Part, contents, hashed
from tartan.experiment.overview import batch_size
from tartan.experiment.run import run
from tartan.experiment.sections import sections_of
from tartan.plugins import Plugins, discover
from tartan.report.tracker import check_tracker
from tartan.study.results import StageSummary
from tartan.study.timing import seconds_of
from tartan.train.finite import NonFiniteError

OF_BATCHES = ("batch_size", "max_tokens", "scale", "schedule")
"""Options of the end task that its head's first weights do not depend on."""


@dataclass(frozen=True)
class BuiltArm:
    """The result of building an arm.

    Attributes:
        stages: its schedule.
        metric: what its best model is chosen by.
        batch: rows of the end task in a step, or the most tokens.
        rows: how many rows each split and corpus has; None of one that is streamed.
        probe_splits: the splits that supply the dev gradient, `dev` and `train`; none where the
            weightings do not need it.
        contents: hashes of its data, tokenizer, model and plugins, as in a run's identity.
        batches: a hash of what decides the end task's batches, apart from the seed.
        start: a hash of what decides the first weights of the body and of the end task's head,
            apart from the seed.
        missing: a sentence on the corpus that it reads and the data lacks; all else is then unset.
    """

    stages: tuple[StageSummary, ...] = ()
    metric: str = ""
    batch: str = ""
    rows: Mapping[str, int | None] | None = None
    probe_splits: tuple[str, ...] = ()
    contents: Mapping[str, Part] | None = None
    batches: str = ""
    start: str = ""
    missing: str | None = None


def try_arms(configs: Mapping[str, str], anywhere: bool, processes: int = 1) -> dict[str, BuiltArm]:
    """Build each arm as a run would be built, and return the results by name.

    Args:
        configs: by name of an arm, the composed configuration in YAML.
        anywhere: whether runs go to other machines, whose devices are not available here.
        processes: of each run.

    Raises:
        TartanError: an arm cannot be built.
    """
    found: dict[str, BuiltArm] = {}
    for name, text in configs.items():
        try:
            found[name] = try_arm(parse(_composed(text)), anywhere, processes)
        except TartanError as error:
            raise located(error, f"arm {name}") from error
    return found


def try_arm(config: Config, anywhere: bool, processes: int) -> BuiltArm:
    """Build one arm. TartanError where it cannot be built."""
    _check_output(config, anywhere)
    plugins, ranks = discover(), Ranks()
    ranks.size = processes  # so that `accumulate` is checked; this process builds alone
    if anywhere:
        config = without_device(config)
    try:
        with blamed(plugins):
            return _describe(config, build(config, plugins, ranks), plugins)
    except MissingCorpusError as error:
        return BuiltArm(missing=str(error))


def _check_output(config: Config, anywhere: bool) -> None:
    """ConfigError where the runs of an arm would train, and then could not be tracked or exported.

    Args:
        config: the arm's.
        anywhere: whether they run on other machines, whose packages are not known here.
    """
    check_tracker(config.tracker, installed=not anywhere)
    check_export(config.export, installed=not anywhere)
    if config.push_to_hub:
        raise ConfigError(
            "push_to_hub=true would upload all runs of the study, one over the other. Leave it "
            "out, and upload the model of the run that you choose: "
            "`hf upload OWNER/NAME STUDY/ARM/seedK/model`"
        )


def time_arms(configs: Mapping[str, str]) -> dict[str, float]:
    """Return how many seconds a run of each arm takes, by name, measured over the first steps.

    Arms of a few steps are left out, and those that cannot be measured.

    Args:
        configs: by name of an arm, the composed configuration in YAML.
    """
    found: dict[str, float] = {}
    for name, text in configs.items():
        plugins = discover()
        with suppress(TartanError, NonFiniteError), blamed(plugins):  # its runs will report it
            seconds = seconds_of(build(parse(_composed(text)), plugins))
            if seconds is not None:
                found[name] = seconds
    return found


def run_one(config: str, directory: str, files: Mapping[str, str]) -> None:
    """Run a configuration in YAML; `files` are those of .hydra/, likewise. Raises as `run` does."""
    loaded = {name: OmegaConf.create(text) for name, text in files.items()}
    extra: dict[str, Any] = {  # lists of overrides, whose interpolations stay as they were typed
        name: found if isinstance(found, DictConfig) else OmegaConf.to_container(found)
        for name, found in loaded.items()
    }
    run(_composed(config), Path(directory), extra, discover())


def _describe(config: Config, experiment: Experiment, plugins: Plugins) -> BuiltArm:
    """Return what a study needs to know of an arm that was built."""
    setup, task = experiment.setup, experiment.task
    found = contents(config, experiment, plugins)
    read = [setup.model.primary, found["tokenizer"]]
    subset = asdict(task.subset) if task.subset else None
    head = {key: value for key, value in config.primary.items() if key not in OF_BATCHES}
    batch = batch_size(sections_of(config)[0], config.accumulate)
    stages, trained = [], 0
    for name, plan in experiment.stages.items():
        plugin = plan.weighting["plugin"] if len(plan.names) > 1 else None
        before = setup.primary_rows(trained)
        trained += plan.steps if plan.trains_primary else 0
        examples = setup.primary_rows(trained) - before
        stages.append(StageSummary(name, plan.names, plugin, plan.steps, examples))
    return BuiltArm(
        tuple(stages),
        experiment.milestones.metric,
        batch,
        task.sizes,
        experiment.probe_splits,
        found,
        hashed([batch, read, task.hashes["train"], subset, len(setup.probed["train"])]),
        hashed([config.model, head, read, task.kind.value, task.labels]),
    )


def _composed(text: str) -> DictConfig:
    """Return a configuration from YAML."""
    composed = OmegaConf.create(text)
    assert isinstance(composed, DictConfig)
    return composed
