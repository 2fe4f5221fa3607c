"""A model's weights in half the bytes, to travel. tartan reads them in float32 again."""

import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from tartan.errors import ConfigError

WEIGHTS = "model.safetensors"


def write_half(model: Path, to: Path) -> None:
    """Copy a model's directory, its float32 weights as float16.

    Weights change by at most 2^-11 of their size, those below 6e-5 by at most 2^-25.

    Raises:
        ConfigError: it has no such file of weights, or one that float16 cannot hold.
    """
    if not (model / WEIGHTS).is_file():
        raise ConfigError(f"{model} has no {WEIGHTS}: give a model's directory")
    with safe_open(model / WEIGHTS, "pt") as file:
        weights = {name: _half(name, file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    shutil.copytree(model, to, ignore=shutil.ignore_patterns(WEIGHTS), dirs_exist_ok=True)
    save_file(weights, to / WEIGHTS, metadata=metadata)


def _half(name: str, weight: Tensor) -> Tensor:
    """Return a weight in float16; one that is not float32 as it is."""
    if weight.dtype != torch.float32:
        return weight
    small = weight.half()
    if not small.isfinite().all():
        raise ConfigError(f"{name} has weights that float16 cannot hold: choose another model")
    return small
