"""What a run is, in a short table: printed before it trains."""

from collections.abc import Mapping

import torch

from tartan.batch import LabelKind
from tartan.body import Body
from tartan.config.schema import Config
from tartan.errors import shown
from tartan.experiment.build import Experiment
from tartan.experiment.sections import Section, sections_of
from tartan.sizes import counted
from tartan.spelling import spelled
from tartan.train.progress import Progress
from tartan.train.runtime import Runtime

LABELS: Mapping[LabelKind, str] = {LabelKind.NUMBER: "numbers"}
NAMED = 5
"""Labels that are named at most."""


def overview(config: Config, experiment: Experiment) -> list[tuple[str, str]]:
    """Return names and values: device, model, data, objectives, schedule."""
    setup, task = experiment.setup, experiment.task
    body = setup.model.body
    model = config.model.get("name") or config.model["kind"]
    number = sum(parameter.numel() for parameter in body.parameters())
    rows = ", ".join(f"{split} {len(texts)}" for split, texts in task.splits.items())
    sizes = {name: f"{len(texts)}" for name, texts in task.corpora.items()}
    sizes |= {
        name: f"{counted(len(s.shards), 'streamed shard')}" for name, s in task.streamed.items()
    }
    corpora = ", ".join(f"{name} {size}" for name, size in sizes.items())
    return [
        ("device", device(setup.runtime)),
        ("model", f"{model}: {body.model.config.model_type}, {millions(number)}"),
        ("reads", reading(body)),
        ("data", f"{config.data['source']}: {rows}; {labels(task.kind, task.labels)}"),
        *([("corpora", f"texts of {corpora}")] if corpora else []),
        ("batches", _batches(config, experiment)),
        (
            "schedule",
            "; ".join(
                f"{n} {counted(plan.steps, 'step')}" for n, plan in experiment.stages.items()
            ),
        ),
        ("best by", f"{experiment.milestones.metric} on dev"),
    ]


def device(runtime: Runtime) -> str:
    """Return a device with its name or threads, and the precision."""
    if runtime.device.type == "cuda":
        name = torch.cuda.get_device_name(runtime.device)
        return f"{runtime.device}, {name}, {runtime.precision}"
    threads = torch.get_num_threads()
    said = f", {threads} thread{'s' if threads > 1 else ''}" if runtime.device.type == "cpu" else ""
    return f"{runtime.device}{said}, {runtime.precision}"


def reading(body: Body) -> str:
    """Return how a body reads sequences: packed or not, in which direction, and why."""
    otherwise = "padded" if body.unpadded_because is None else "by length"
    reads = "packed" if body.reads_packed else otherwise
    why = body.unpadded_because or body.padded_because
    direction = "left to right" if body.causal else "both ways"
    return f"{reads}, {direction}{f' ({why})' if why else ''}"


def labels(kind: LabelKind, names: tuple[str, ...]) -> str:
    """Return how many labels there are, and the first of them."""
    if kind in LABELS:
        return LABELS[kind]
    more = ", ..." if len(names) > NAMED else ""
    first = ", ".join(shown(spelled(name)) for name in names[:NAMED])
    return f"{len(names)} labels ({first}{more})"


def millions(number: int) -> str:
    """Return a number of parameters.

    >>> millions(22_713_216), millions(170_000)
    ('22.7 M parameters', '0.170 M parameters')
    """
    return f"{number / 1e6:.{1 if number >= 1e6 else 3}f} M parameters"


def remaining(experiment: Experiment, progress: Progress) -> list[int]:
    """Return the budget of each stage that is not finished, in steps."""
    return [plan.steps for plan in list(experiment.stages.values())[progress.stage :]]


def _batches(config: Config, experiment: Experiment) -> str:
    """Return the rows of each objective in a step, or the most tokens."""
    names = experiment.setup.model.names
    return "; ".join(
        f"{section.name} {batch_size(section, config.accumulate)} a step"
        for section in sections_of(config)
        if section.name in names
    )


def batch_size(section: Section, accumulate: int) -> str:
    """Return the size of an objective's effective batch.

    >>> batch_size(Section("mlm", "objectives.mlm", {"batch_size": 32}), 2)
    '64 rows'
    >>> batch_size(Section("mlm", "objectives.mlm", {"batch_size": 32, "max_tokens": 4096}), 2)
    'up to 8192 tokens'
    """
    if section.max_tokens is None:
        return f"{section.batch_size * accumulate} rows"
    return f"up to {section.max_tokens * accumulate} tokens"
