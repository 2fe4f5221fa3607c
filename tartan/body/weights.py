"""A model's weights: random ones, or those of a checkpoint, checked as they are loaded."""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import PretrainedConfig, PreTrainedModel

from tartan.body.pretrained import UNUSABLE, short_reason
from tartan.errors import ModelError
from tartan.quiet import quiet


@dataclass(frozen=True)
class Loaded:
    """A model and where its parameters come from.

    Attributes:
        model: the model, in float32.
        new: names of the parameters that no checkpoint held; None for all of them.
        mismatched: those of them that the checkpoint holds in another shape.
    """

    model: PreTrainedModel
    new: frozenset[str] | None = None
    mismatched: frozenset[str] = frozenset()


def random_model(auto: Any, config: PretrainedConfig) -> Loaded:
    """Build a model with random weights; the global random state is left as it was.

    Args:
        auto: one of transformers' auto classes.
        config: the architecture.
    """
    with quiet(), torch.random.fork_rng(devices=[]):
        return Loaded(auto.from_config(deepcopy(config), dtype=torch.float32))


def pretrained_model(
    auto: Any, config: PretrainedConfig, name: str, trust_remote_code: bool
) -> Loaded:
    """Load a model's weights; the global random state is left as it was.

    Args:
        auto: one of transformers' auto classes.
        config: the architecture.
        name: a directory, or an id on the Hugging Face hub.
        trust_remote_code: whether Python code that comes with the model may run.

    Raises:
        ModelError: the weights cannot be loaded, or one of them is NaN or infinite.
    """
    with quiet(), torch.random.fork_rng(devices=[]):
        try:
            model, report = auto.from_pretrained(
                name,
                config=deepcopy(config),
                dtype=torch.float32,
                trust_remote_code=trust_remote_code,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        except (OSError, UnpicklingError, SafetensorError, *UNUSABLE) as error:
            raise ModelError(
                f"model.name={name}: its weights cannot be loaded ({short_reason(error)})"
            ) from error
    own_storage(model)
    check_finite(model, name)
    mismatched = frozenset(key for key, *_ in report["mismatched_keys"])
    return Loaded(model, mismatched | set(report["missing_keys"]), mismatched)


@torch.no_grad()
def own_storage(model: PreTrainedModel) -> None:
    """Give parameters that are views of a larger tensor memory of their own.

    Some families load one tensor of a checkpoint as several parameters. A file of weights cannot
    hold views, and an optimiser's arithmetic is slower on them.
    """
    for parameter in model.parameters():
        if parameter.untyped_storage().nbytes() != parameter.numel() * parameter.element_size():
            parameter.data = parameter.data.clone()


@torch.no_grad()
def check_finite(model: PreTrainedModel, name: str) -> None:
    """Check that no weight is NaN or infinite.

    Args:
        model: the loaded model.
        name: the directory or id it was loaded from.

    Raises:
        ModelError: one is not; it names the tensor, and in a directory its file.
    """
    for key, weight in model.named_parameters():
        finite = weight.isfinite()
        if finite.all():
            continue
        bad = int((~finite).sum())
        value = weight[~finite][0].item()
        places = f"{bad} of its {weight.numel()} values are not finite, the first one {value}"
        raise ModelError(
            f"model.name={name}: weight {key}{_file(name, key)}: {places}: choose another "
            "checkpoint, or save this one again from finite weights"
        )


def _file(name: str, key: str) -> str:
    """Return " in FILE" for the file of a directory that holds a tensor; "" if it is not found.

    Checkpoints of a model with a head put the base model's name before the names of its weights,
    so a name that ends alike counts.
    """
    for path in sorted(Path(name).glob("*.safetensors")):
        with safe_open(path, "pt") as content:
            if any(key.endswith(known) or known.endswith(key) for known in content.keys()):  # noqa: SIM118
                return f" in {path.name}"
    pickled = sorted(Path(name).glob("*.bin"))
    return f" in {pickled[0].name}" if len(pickled) == 1 else ""
