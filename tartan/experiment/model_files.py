"""The files that the pretrained models of a run were loaded from, as hashes."""

import json
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import try_to_load_from_cache
from torch import nn
from transformers import PreTrainedModel

from tartan.body.adapters import ADAPTER_FILE
from tartan.files import sha256

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
           "pytorch_model.bin.index.json")  # fmt: skip
"""Files of weights, or lists of them, in the order in which transformers looks for them."""
BESIDE = ("config.json", ADAPTER_FILE, "adapter_model.safetensors")
"""Other files that decide what is loaded."""


def model_hashes(model: nn.Module) -> dict[str, str]:
    """Return the SHA-256 of each file that pretrained parts of a model were loaded from.

    Args:
        model: body and objectives. Parts with random weights have no files.

    Returns:
        By file name; by `<model>/<file name>` where the run has several pretrained models.
    """
    sources = dict(_sources(model))
    return {
        path.name if len(sources) == 1 else f"{name}/{path.name}": sha256(path)
        for name, directory in sources.items()
        for path in loaded_files(directory)
    }


def revisions(model: nn.Module) -> dict[str, str]:
    """Return the commit of each model of the Hugging Face hub that is part of a model."""
    return {
        f"hub revision of {part.name_or_path}": str(part.config._commit_hash)
        for part in _pretrained(model)
        if getattr(part.config, "_commit_hash", None)
    }


def loaded_files(directory: Path) -> list[Path]:
    """Return the files of a model's directory that transformers loads a model from."""
    names = [name for name in BESIDE if (directory / name).is_file()]
    weights = next((name for name in WEIGHTS if (directory / name).is_file()), None)
    if weights:
        names.append(weights)
    if weights and weights.endswith(".index.json"):
        index = json.loads((directory / weights).read_text(encoding="utf-8"))
        names += sorted(set(index["weight_map"].values()))
    return [directory / name for name in names] + sorted(directory.glob("*.py"))


def _sources(model: nn.Module) -> Iterator[tuple[str, Path]]:
    """Return the name and directory of each pretrained model that is part of a model."""
    for part in _pretrained(model):
        name = str(part.name_or_path)
        directory = Path(name).expanduser()
        if directory.is_dir():
            yield name, directory
        elif isinstance(file := _cached(part, name), str):
            yield name, Path(file).parent


def _cached(part: PreTrainedModel, name: str) -> object:
    """Return where the hub's cache has the configuration of a model; a str if it has it."""
    revision = getattr(part.config, "_commit_hash", None)
    return try_to_load_from_cache(name, "config.json", revision=revision)


def _pretrained(model: nn.Module) -> Iterator[PreTrainedModel]:
    """Iterate over the parts of a model that transformers loaded under a name."""
    for part in model.modules():
        if isinstance(part, PreTrainedModel) and part.name_or_path:
            yield part
