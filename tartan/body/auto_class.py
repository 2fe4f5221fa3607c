"""Which of a family's models is the body: its base model, or the encoder of an encoder-decoder."""

from typing import Any

from transformers import AutoModel, AutoModelForTextEncoding, PretrainedConfig


def has_encoder_alone(config: PretrainedConfig) -> bool:
    """Return whether a family of encoder-decoders has a model of its encoder alone, as T5's has."""
    # The configuration of such a model says that it is not an encoder-decoder.
    family = type(config)
    return bool(getattr(family, "is_encoder_decoder", False)) and (
        family in AutoModelForTextEncoding._model_mapping
    )


def base_class(config: PretrainedConfig) -> Any:
    """Return transformers' auto class of a family's body."""
    return AutoModelForTextEncoding if has_encoder_alone(config) else AutoModel
