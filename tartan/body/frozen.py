"""Parts of a body that do not train: `embeddings`, `layers.3`, `layers.0-5`."""

import re
from collections.abc import Iterable, Sequence

from torch import nn
from transformers import PreTrainedModel

from tartan.body.layers import layers_of
from tartan.errors import ConfigError

LAYERS = re.compile(r"layers\.(\d+)(?:-(\d+))?")
"""A layer, or the first and the last one of several."""


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
        inside = {id(module) for layer in layers for module in layer.modules()}
        return [
            child
            for child in model.children()
            if any(isinstance(module, nn.Embedding) for module in child.modules())
            and inside.isdisjoint(id(module) for module in child.modules())
        ]
    found = LAYERS.fullmatch(part)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
    if not found or not first <= last < len(layers):
        raise ConfigError(
            f"model.freeze: {model.config.model_type} has no part '{part}': choose from "
            f"embeddings, layers.0 to layers.{len(layers) - 1}, and ranges such as layers.0-1"
        )
    return layers[first : last + 1]
