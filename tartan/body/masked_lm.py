"""A masked language model beside the run's body: a body and a head of its own, smaller or not."""

from copy import deepcopy
from dataclasses import replace

from torch import Tensor, nn
from transformers import PretrainedConfig

from tartan.body.adapters import LoraOptions
from tartan.body.body import Body
from tartan.body.heads import LiftedHead, borrow
from tartan.body.pretrained import short_reason
from tartan.body.source import AutoOptions, ModelSource
from tartan.body.verification import FAILURES
from tartan.errors import ConfigError, ModelError
from tartan.packed import Packed

FEED_FORWARD = ("intermediate_size", "hidden_dim")
"""What families call the width of a layer's feed-forward part."""


class IndependentLM(nn.Module):
    """A body and the family's MaskedLM head on it, apart from the run's body.

    Attributes:
        body: the encoder.
        head: the family's own head.
    """

    def __init__(self, body: Body, head: LiftedHead) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, packed: Packed, indices: Tensor) -> Tensor:
        """Return logits [items, vocabulary] at tokens' indices, [items] int64, each once."""
        logits: Tensor = self.head(self.body(packed.want(indices))[indices][None])[0]
        return logits

    def tie(self, body: Body) -> None:
        """Compute with another body's token embeddings, which stay that body's parameter.

        Gradients reach them; `parameters`, `state_dict` and `to` leave them to their owner.

        Raises:
            ConfigError: when the two have different shapes.
        """
        own, other = (
            each.model.get_input_embeddings().get_parameter("weight") for each in (self.body, body)
        )
        if own.shape != other.shape:
            raise ConfigError(
                f"token embeddings of shape {tuple(own.shape)} cannot be tied to the body's, "
                f"{tuple(other.shape)}: only equal shapes can"
            )
        name = next(name for name, p in self.body.model.named_parameters() if p is own)
        borrow(self.body.model, name, other)
        for decoder, source in self.head.borrowed.items():
            if source == name:
                borrow(self.head.model, decoder, other)


def masked_lm(
    source: ModelSource,
    body: Body,
    *,
    width: float = 1.0,
    name: str | None = None,
    tied: bool = False,
) -> IndependentLM:
    """Another masked language model over the vocabulary of a run's body, in training mode.

    Args:
        source: what the body is made of.
        body: the run's body.
        width: hidden width as a share of the body's, of a model of its family with random weights.
        name: a pretrained model instead: a directory, or an id on the Hugging Face hub.
        tied: whether its token embeddings are the body's very own.

    Raises:
        ModelError: when there is no such model, it reads shorter sequences than the body, or its
            vocabulary is another.
        ConfigError: when the embeddings to be tied have different shapes.
    """
    try:
        other = scaled(source, width) if name is None else pretrained_like(source, name)
        encoder = other.body()
        model = IndependentLM(encoder, other.head("MaskedLM", encoder))
    except FAILURES as error:
        raise ModelError(
            f"{source.config.model_type} has no model of {width:g} times its width "
            f"({short_reason(error)})"
        ) from error
    if tied:
        model.tie(body)
    return model


def scaled(source: ModelSource, width: float) -> ModelSource:
    """A source of random weights, its widths and heads a share of the given one's.

    Depth, the width of embeddings that have one of their own, and head size stay (Clark et al.,
    ICLR 2020, section 3.2).
    """
    config: PretrainedConfig = deepcopy(source.config)
    if width != 1:
        heads = max(1, round(config.num_attention_heads * width))
        unit = 2 * heads  # an even head size, which rotary positions need
        hidden = max(1, round(config.hidden_size * width / unit)) * unit
        for field in FEED_FORWARD:
            if hasattr(config, field):
                setattr(config, field, max(1, round(getattr(config, field) * width)))
        if getattr(config, "num_key_value_heads", None):
            config.num_key_value_heads = heads
        config.hidden_size, config.num_attention_heads = hidden, heads
    return replace(source, config=config, name=None, lora=LoraOptions(), freeze=())


def pretrained_like(source: ModelSource, name: str) -> ModelSource:
    """A pretrained source that reads what the given one reads; ModelError if there is none."""
    options = AutoOptions(
        name=name, max_length=source.max_length, trust_remote_code=source.trust_remote_code
    )
    other = ModelSource.pretrained(options)
    if other.tokenizer.get_vocab() != source.tokenizer.get_vocab():
        raise ModelError(
            f"{name} has another vocabulary than the body ({len(other.tokenizer)} tokens, and "
            f"{len(source.tokenizer)}): choose one that was trained with the body's tokenizer"
        )
    return other
