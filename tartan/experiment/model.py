"""A run's model: where body and heads come from, and every objective on the body."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from tartan.body import AutoOptions, Body, LiftedHead, ModelSource, recorder
from tartan.config.parse import options
from tartan.config.store import MODELS
from tartan.data import Task, train_tokenizer
from tartan.data.long_texts import check_way
from tartan.errors import ConfigError, ModelError, suggest
from tartan.experiment.tasks import Section, section_options
from tartan.objective import Objective, PrimaryObjective
from tartan.plugins import Plugins
from tartan.seeding import seeded
from tartan.train.context import TaskContext, Training
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime


def load_source(section: Mapping[str, Any], task: Task) -> ModelSource:
    """Return where the section `model` takes body and heads from. ConfigError or ModelError."""
    if section["kind"] not in MODELS:
        raise ConfigError(f"model.kind={section['kind']}: {suggest(section['kind'], MODELS)}")
    chosen = options(MODELS[section["kind"]], section, "model")
    most = chosen.max_tokens_per_pass
    if most is not None and most < 1:
        raise ConfigError(f"model.max_tokens_per_pass={most}: give at least 1, or null")
    check_way(chosen.long, chosen.max_chunks)
    if isinstance(chosen, AutoOptions):
        source = ModelSource.pretrained(chosen)
    else:
        tokenizer = train_tokenizer(task.corpora["task"]["text"], chosen.vocab_size)
        source = ModelSource.tiny(tokenizer, chosen)
    return replace(source, long=chosen.long, max_chunks=chosen.max_chunks)


def load_joint_model(
    sections: Mapping[str, Section],
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
    for name, section in sections.items():
        cls = plugins.objective(section["plugin"])
        where = f"objectives.{name}" if objectives else "primary"
        end_task = next(iter(objectives.values()), None)
        assert end_task is None or isinstance(end_task, PrimaryObjective)
        context = TaskContext(name, training[name], body, seed, end_task)
        with seeded(seed, "objective", name):
            objectives[name] = cls(section_options(cls, section, where), context)
        notices += [f"{where}: {line}" for line in context.notices]
    model = JointModel(body, next(iter(objectives)), objectives)
    if not isinstance(model.end_task.head, LiftedHead):
        raise ConfigError(
            f"primary={model.primary} has a head of its own, which cannot be exported"
        )
    return model, notices


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


def accelerate(body: Body, runtime: Runtime, *, compiled: str, graphs: str) -> list[str]:
    """Turn on what a body's device offers; return a notice for what is missing.

    Args:
        body: it is on its device already.
        runtime: where it trains.
        compiled: `true`, `false`, or `auto`: on a CPU compiled layers are slower, and on a GPU they
            have not been measured, so that `auto` compiles nothing.
        graphs: `true`, `false`, or `auto`: CUDA graphs, where the body supports them.

    Raises:
        ConfigError: graphs are demanded where there are none.
        ModelError: layers cannot be compiled, or recorded although they must.
    """
    notices = _half_precision(body, runtime)
    if compiled == "true":
        body.compile_layers()
    return [*notices, *_graphs(body, runtime, graphs)]


def _graphs(body: Body, runtime: Runtime, wanted: str) -> list[str]:
    """Use CUDA graphs if they are wanted; return a notice if a GPU cannot use them."""
    possible = runtime.device.type == "cuda" and runtime.precision == "bf16"
    if wanted == "true" and not possible:
        raise ConfigError("cuda_graphs=true needs a CUDA device and precision=bf16")
    if wanted == "false" or not possible:
        return []
    reason = body.use_graphs(runtime.autocast(), recorder.CudaRecorder(runtime.device))
    if reason is None:
        return []
    if wanted == "true":
        raise ModelError(f"cuda_graphs=true is not possible: {reason}")
    return [f"kernels launched one by one, not by CUDA graphs ({reason})"]


def _half_precision(body: Body, runtime: Runtime) -> list[str]:
    """Turn on a GPU's kernels of half precision; return a notice for each that is not used."""
    if runtime.device.type != "cuda" or runtime.dtype == torch.float32 or not body.packed:
        return []
    notices = []
    if (reason := body.use_varlen(runtime.autocast(), runtime.dtype)) is not None:
        notices.append(f"attention in buckets, not by a variable-length kernel ({reason})")
    bf16 = runtime.dtype == torch.bfloat16
    if bf16 and (reason := body.use_bf16(runtime.autocast())) is not None:
        notices.append(f"layers under autocast, not in bf16 ({reason})")
    return notices
