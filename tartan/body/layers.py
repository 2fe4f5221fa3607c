"""The layers of a Hugging Face model."""

from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer


def layers_of(model: nn.Module) -> list[nn.Module]:
    """Return a model's layers in order, each once; none where transformers does not mark them."""
    marked = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    inside = {id(part) for layer in marked for part in layer.modules() if part is not layer}
    return [layer for layer in marked if id(layer) not in inside]
