"""What torch.compile needs of a model's layers and of the machine."""

import os
from shutil import which

from transformers import PreTrainedModel

from tartan.body.layers import layers_of
from tartan.errors import ModelError


def check_compiling(
    model: PreTrainedModel, padded_because: str | None, *, checkpointed: bool
) -> None:
    """Raise ModelError where layers cannot be compiled.

    Args:
        model: the model.
        padded_because: the reason why it does not read packed sequences; None if it does.
        checkpointed: whether its layers' activations are computed again in the backward pass.
    """
    if checkpointed:
        raise ModelError(
            "compile=true and model.gradient_checkpointing=true exclude each other: remove one"
        )
    why = padded_because
    if why is None and not layers_of(model):
        why = "transformers does not mark its layers"
    if why is not None:
        raise ModelError(f"compile=true: {model.config.model_type} cannot be compiled: {why}")
    if not any(map(which, (os.environ.get("CXX", "g++"), "g++", "clang++"))):
        raise ModelError(
            "compile=true needs a C++ compiler (g++, clang++ or $CXX), but none was found: "
            "install one, or remove compile=true"
        )
