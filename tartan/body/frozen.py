"""Parts of a body that do not train: `embeddings`, `layers.3`, `layers.0-5`."""

import re
from collections.abc import Iterable, Sequence

from torch import nn
from transformers import PreTrainedModel

from tartan.body.layers import layers_of
from tartan.errors import ConfigError

LAYERS = re.compile(r"layers\.(\d+)(?:-(\d+))?")
"""A layer, or the first and the last one of several."""

PROJECTIONS = ("embeddings_project", "embedding_hidden_mapping_in", "project_in")
"""Modules that bring embeddings to the width of the layers: in ELECTRA, ALBERT and OPT."""


def freeze(model: PreTrainedModel, parts: Iterable[str]) -> None:
    """Freeze parts of a body.

    Args:
        model: the body's model.
        parts: `embeddings` (all that comes before the layers), `layers.N` or `layers.A-B`.

    Raises:
        ConfigError: there is no such part, or nothing is left to train.
    """
    chosen = list(parts)
    for part in chosen:
        for module in _modules(model, str(part)):
            module.requires_grad_(False)
    if chosen and not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError(
            f"model.freeze=[{', '.join(map(str, chosen))}] leaves nothing of the body to train: "
            "freeze less of it"
        )


def _modules(model: PreTrainedModel, part: str) -> Sequence[nn.Module]:
    """Return the modules of a part. ConfigError if there is no such part."""
    layers = layers_of(model)
    if part == "embeddings":
        return _embeddings(model)
    if not layers:
        raise ConfigError(
            f"model.freeze: {model.config.model_type} has no part '{part}', as transformers does "
            "not mark its layers: choose embeddings"
        )
    found = LAYERS.fullmatch(part)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
    if not found or not first <= last < len(layers):
        raise ConfigError(
            f"model.freeze: {model.config.model_type} has no part '{part}': choose from "
            f"embeddings, layers.0 to layers.{len(layers) - 1}, and ranges such as layers.0-1"
        )
    return layers[first : last + 1]


def _embeddings(model: PreTrainedModel) -> list[nn.Module]:
    """Return the modules before the layers: those with embeddings, and their projections.

    Relative positions are not among them, as their embeddings are part of attention.
    """
    root: nn.Module = model
    words = model.get_input_embeddings()
    while (holder := _holder(root, words)) is not None and _holds_layers(holder):
        root = holder
    found = [
        child
        for child in root.children()
        if any(isinstance(module, nn.Embedding) for module in child.modules())
        and not _holds_layers(child)
    ]
    named = model.named_modules()
    return found + [module for name, module in named if name.split(".")[-1] in PROJECTIONS]


def _holder(root: nn.Module, module: nn.Module) -> nn.Module | None:
    """Return the child that holds a module; None if that is a child itself."""
    children = (child for child in root.children() if child is not module)
    return next((child for child in children if module in child.modules()), None)


def _holds_layers(module: nn.Module) -> bool:
    """Return whether a module holds layers: in a list, where transformers does not mark them."""
    return any(isinstance(part, nn.ModuleList) for part in module.modules()) or bool(
        layers_of(module)
    )
