"""Checkpoints of a body that is divided among processes: a file of each, without pickle.

`rank-00000-of-00004.safetensors` holds what one process owns of parameters and moments; the first
one also holds everything that all processes have. `training.json` has the structure of the training
state, with the names of its tensors, and the names of those that are divided. Divided tensors are
parts along the first dimension, in order: another number of processes joins and divides them again.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from tartan.distributed.sharded import local, part_of, write_part

STRUCTURE = "training.json"
DIVIDED = "divided"
"""The key of a training state that holds the indices of divided parameters in the optimiser."""


def part_name(rank: int, size: int) -> str:
    """Return the name of a process's file."""
    return f"rank-{rank:05}-of-{size:05}.safetensors"


def save_part(
    directory: Path, rank: int, size: int, model: nn.Module, training: Mapping[str, Any]
) -> None:
    """Write the file of one process, and in the first one the structure.

    Args:
        directory: the checkpoint's.
        rank: of the process among those that share a body.
        size: how many these are.
        model: body and heads.
        training: the state of the stage, as this process has it.
    """
    tensors: dict[str, Tensor] = {}
    structure = _take(training, "training", tensors)
    divided = _divided_moments(training, tensors)
    state = {f"model/{name}": tensor for name, tensor in _parameters(model).items()}
    divided |= {name for name, tensor in state.items() if isinstance(tensor, DTensor)}
    tensors |= {name: local(tensor) for name, tensor in state.items()}
    mine = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in tensors.items()
        if rank == 0 or name in divided
    }
    save_file(mine, directory / part_name(rank, size), {"format": "pt"})
    if rank == 0:
        content = {"processes": size, "divided": sorted(divided), "structure": structure}
        (directory / STRUCTURE).write_text(json.dumps(content, allow_nan=False), encoding="utf-8")


def load_parts(directory: Path, rank: int, size: int, model: nn.Module) -> dict[str, Any]:
    """Load the parameters of a model, and return the training state, as one process owns them.

    Args:
        directory: the checkpoint's.
        rank: of the process among those that share a body now.
        size: how many these are.
        model: body and heads.

    Raises:
        RuntimeError: it is the checkpoint of another model.
        OSError, ValueError, KeyError, TypeError: it cannot be read.
    """
    content = json.loads((directory / STRUCTURE).read_text(encoding="utf-8"))
    given, divided = int(content["processes"]), set(content["divided"])

    def part(name: str, number: int) -> Tensor:
        with safe_open(directory / part_name(number, given), framework="pt") as file:
            found: Tensor = file.get_tensor(name)
        return found

    def read(name: str) -> Tensor:
        if name not in divided:
            return part(name, 0)
        if given == size:
            return part(name, rank)
        complete = torch.cat([part(name, n) for n in range(given)])
        return part_of(complete, rank, size).clone()

    with torch.no_grad():
        for name, parameter in _parameters(model).items():
            found = read(f"model/{name}")
            if found.shape != local(parameter).shape:
                raise RuntimeError(f"size mismatch for {name}")
            local(parameter).copy_(found)
    state: dict[str, Any] = _restored(content["structure"], read)
    return state


@torch.no_grad()
def load_complete(model: nn.Module, path: Path) -> None:
    """Load a file of complete parameters into a model that is divided among processes.

    Raises:
        RuntimeError: it is the file of another model.
    """
    names: dict[int, list[str]] = {}
    parameter: Tensor
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    with safe_open(path, framework="pt") as file:
        found = set(file.keys())
        for name, parameter in _parameters(model).items():  # one at a time, as all may be large
            known = [n for n in names.get(id(parameter), [name]) if n in found]
            if not known or file.get_slice(known[0]).get_shape() != list(parameter.shape):
                raise RuntimeError(f"without {name} of shape {list(parameter.shape)}")
            tensor = file.get_tensor(known[0])
            if isinstance(parameter, DTensor):
                write_part(tensor, parameter)
            else:
                parameter.copy_(tensor)


def divide_moments(
    optimiser: Mapping[str, Any], parameters: Collection[int], rank: int, size: int
) -> dict[str, Any]:
    """Return an optimiser's state with this process's parts of some parameters' moments.

    Args:
        optimiser: of `Optimiser.state_dict`, with complete moments.
        parameters: the indices of the parameters in it that are divided now.
        rank: of the process among those that share a body.
        size: how many these are.
    """
    adamw = dict(optimiser["adamw"])
    adamw["state"] = {
        number: {
            name: part_of(value, rank, size).clone()
            if number in parameters and name.startswith("exp_avg")
            else value
            for name, value in moments.items()
        }
        for number, moments in adamw["state"].items()
    }
    return {**optimiser, "adamw": adamw}


def required(checkpoint: Path) -> Collection[str]:
    """Return the files that a checkpoint of this kind must have; none if it is of another kind."""
    if not (checkpoint / STRUCTURE).exists():
        return ()
    try:
        size = int(json.loads((checkpoint / STRUCTURE).read_text(encoding="utf-8"))["processes"])
    except (OSError, ValueError, KeyError, TypeError):
        size = 1  # the manifest says that the file is damaged
    return STRUCTURE, *(part_name(rank, size) for rank in range(size))


def _parameters(model: nn.Module) -> dict[str, Tensor]:
    """Return parameters that train, and the buffers that are saved, each once."""
    state = model.state_dict()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    buffers = {name: b for name, b in model.named_buffers() if name in state}
    return {**trained, **buffers}


def _divided_moments(training: Mapping[str, Any], tensors: Collection[str]) -> set[str]:
    """Return the names of moments of divided parameters."""
    indices = training.get(DIVIDED, ())
    prefixes = tuple(f"training/optimiser/adamw/state/{index}/exp_avg" for index in indices)
    return {name for name in tensors if name.startswith(prefixes)} if prefixes else set()


def _take(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Return a state without its tensors, which are put into a map by their path."""
    if isinstance(value, Tensor):
        tensors[path] = value
        return {"tensor": path}
    if isinstance(value, Mapping):
        return {"map": [[key, _take(v, f"{path}/{key}", tensors)] for key, v in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_take(v, f"{path}/{n}", tensors) for n, v in enumerate(value)]}
    return {"value": value}


def _restored(structure: Mapping[str, Any], read: Any) -> Any:
    """Return a state of a structure, with its tensors."""
    ((kind, content),) = structure.items()
    if kind == "tensor":
        return read(content)
    if kind == "map":
        return {key: _restored(value, read) for key, value in content}
    if kind == "list":
        return [_restored(value, read) for value in content]
    return content
