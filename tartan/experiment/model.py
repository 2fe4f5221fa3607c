"""A run's model: where body and heads come from, and every objective on the body."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tartan.body import AutoOptions, Body, LiftedHead, ModelSource
from tartan.checks import check_choice, check_ranges
from tartan.config.parse import options
from tartan.config.store import MODELS
from tartan.data import Task, train_tokenizer
from tartan.data.long_texts import check_way
from tartan.errors import ConfigError
from tartan.experiment.context import TaskContext
from tartan.experiment.sections import Section
from tartan.experiment.texts import Training
from tartan.objective import Objective, PrimaryObjective
from tartan.plugins import Plugins
from tartan.seeding import seeded
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime


def load_source(section: Mapping[str, Any], task: Task) -> ModelSource:
    """Return where the section `model` takes body and heads from. ConfigError or ModelError."""
    check_choice("model.kind", section["kind"], MODELS)
    chosen = options(MODELS[section["kind"]], section, "model")
    check_ranges("model", chosen, max_tokens_per_pass="[1, inf) or null")
    check_way(chosen.long, chosen.max_chunks)
    if isinstance(chosen, AutoOptions):
        source = ModelSource.pretrained(chosen)
    else:
        tokenizer = train_tokenizer(task.corpora["task"]["text"], chosen.vocab_size)
        source = ModelSource.tiny(tokenizer, chosen)
    return replace(source, long=chosen.long, max_chunks=chosen.max_chunks)


def load_joint_model(
    sections: Sequence[Section],
    training: Mapping[str, Training],
    source: ModelSource,
    plugins: Plugins,
    seed: int,
) -> tuple[JointModel, list[str]]:
    """Build the body and every objective on it, on the CPU.

    Args:
        sections: the objectives' parts of the configuration, the primary's first.
        training: what each is trained on.
        source: where body and heads come from.
        plugins: the installed plugins.
        seed: the run's; an objective's random parameters depend on its name besides.

    Returns:
        The model, and the objectives' notices, a line each.

    Raises:
        TartanError: an objective cannot be built, or the end task's model cannot be exported.
    """
    with seeded(seed, "body"):
        body = source.body()
    objectives: dict[str, Objective] = {}
    notices: list[str] = []
    for section in sections:
        name, where, cls = section.name, section.where, plugins.objective(section.plugin)
        end_task = next(iter(objectives.values()), None)
        assert end_task is None or isinstance(end_task, PrimaryObjective)
        context = TaskContext(name, training[name], body, seed, end_task, where)
        with seeded(seed, "objective", name):
            objectives[name] = cls(section.options(cls), context)
        notices += [f"{where}: {line}" for line in (*context.notices, *context.heads)]
    model = JointModel(body, next(iter(objectives)), objectives)
    if (found := own_head(model.end_task)) is not None:
        raise ConfigError(
            f"primary={model.primary} cannot be exported: {found}, not one of context.head(...). "
            "Set that in its __init__, or choose another end task and list "
            f"{model.primary}_aux, with data of its own, in `objectives`"
        )
    return model, notices


def own_head(end_task: PrimaryObjective) -> str | None:
    """Return why an end task's `head` cannot be exported; None if it is a head of the family."""
    head = getattr(end_task, "head", None)
    if isinstance(head, LiftedHead):
        return None
    return "it has no `head`" if head is None else f"its `head` is a {type(head).__name__}"


def save_memory(body: Body, section: Mapping[str, Any]) -> None:
    """Set up what the section `model` says about memory. ModelError where that is impossible."""
    body.max_tokens = section.get("max_tokens_per_pass")
    if section.get("gradient_checkpointing"):
        body.checkpoint_layers()


def check_precision(source: ModelSource, runtime: Runtime) -> None:
    """Raise ConfigError where frozen weights in bf16 would meet states in float32."""
    if source.lora.r and source.lora.base == "bf16" and runtime.precision != "bf16":
        raise ConfigError(
            "model.lora.base=bf16 needs precision=bf16, and this run computes in "
            f"{runtime.precision}: set both, or model.lora.base=fp32"
        )
