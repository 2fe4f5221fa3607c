"""Where a run's body and heads come from: a pretrained model, or random weights."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Self

from transformers import (
    BertConfig,
    PretrainedConfig,
    PreTrainedTokenizerBase,
)

from tartan.body.adapters import LoraOptions, adapt
from tartan.body.auto_class import base_class
from tartan.body.body import Body
from tartan.body.classes import match_classes
from tartan.body.decoders import agree_on_padding
from tartan.body.frozen import freeze
from tartan.body.heads import LiftedHead
from tartan.body.kernels.dropout import replace_dropout
from tartan.body.lift import lift
from tartan.body.pretrained import (
    auto_class,
    find,
    read_config,
    read_tokenizer,
    sequence_length,
    skeleton,
)
from tartan.body.weights import Loaded, pretrained_model, random_model
from tartan.checks import check_ranges
from tartan.errors import ConfigError, ModelError
from tartan.unit import Unit

ON_LABELS = ("SequenceClassification", "TokenClassification")
"""Kinds of heads whose outputs are a task's classes, tags or number."""

LANGUAGE_MODELS = ("LM", "PreTraining")
"""How the kinds of heads over a vocabulary end. These compute in the body's precision: nothing is
reported of their logits, and in float32 they would cost as much as several layers."""


@dataclass
class TinyOptions:
    """A small BERT with random weights, over a vocabulary trained on the run's own texts.

    Attributes:
        kind: `tiny`: a small model with random weights.
        vocab_size: most tokens the vocabulary may have.
        hidden_size: width of the hidden states; a multiple of heads.
        layers: transformer layers.
        heads: attention heads of a layer.
        intermediate_size: width of a layer's feed-forward part.
        dropout: of hidden states and attention weights, at least 0 and below 1.
        max_length: the longest sequence, in tokens; longer texts are cut.
        gradient_checkpointing: whether activations inside a layer are computed again in the
            backward pass instead of being stored: less memory, a third more time.
        max_tokens_per_pass: the most tokens whose activations are in memory at once; a larger pass
            is split, with the same gradient; null for no limit.
        long: how longer texts are read: `truncate` (cut at the end), `head_tail` (first and last
            tokens), or `chunks`, whose outputs are averaged.
        max_chunks: the most chunks that a text is read in.
    """

    kind: str = "tiny"
    vocab_size: int = 2000
    hidden_size: int = 64
    layers: int = 2
    heads: int = 2
    intermediate_size: int = 256
    dropout: float = 0.1
    max_length: int = 128
    gradient_checkpointing: bool = False
    max_tokens_per_pass: int | None = None
    long: str = "truncate"
    max_chunks: int = 8


@dataclass
class AutoOptions:
    """A pretrained model.

    Attributes:
        kind: `auto`: a pretrained model.
        name: a directory, or an id on the Hugging Face hub.
        max_length: the longest sequence, in tokens; longer texts are cut; null for the longest
            that the model reads.
        trust_remote_code: whether Python code that comes with the model may run.
        gradient_checkpointing: whether activations inside a layer are computed again in the
            backward pass instead of being stored: less memory, a third more time.
        max_tokens_per_pass: the most tokens whose activations are in memory at once; a larger pass
            is split, with the same gradient; null for no limit.
        lora: adapters to train instead of the body's own weights.
        freeze: parts of the body that do not train: `embeddings`, `layers.3`, `layers.0-5`.
        long: how longer texts are read: `truncate` (cut at the end), `head_tail` (first and last
            tokens), or `chunks`, whose outputs are averaged.
        max_chunks: the most chunks that a text is read in.
    """

    kind: str = "auto"
    name: str | None = None
    max_length: int | None = None
    trust_remote_code: bool = False
    gradient_checkpointing: bool = False
    max_tokens_per_pass: int | None = None
    lora: LoraOptions = field(default_factory=LoraOptions)
    freeze: list[str] = field(default_factory=list)
    long: str = "truncate"
    max_chunks: int = 8


@dataclass(frozen=True)
class ModelSource:
    """Builds the body of a run and the heads on it, in float32.

    Random weights are sampled from the global generator, whose state is restored afterwards: wrap a
    call in `tartan.seeding.seeded` to choose them.

    Attributes:
        config: the architecture.
        tokenizer: a fast tokenizer; its model_max_length is max_length.
        max_length: the longest sequence, in tokens.
        name: where the weights are; None for random ones.
        trust_remote_code: whether Python code that comes with the model may run.
        lora: adapters to train instead of the body's weights, if their rank is at least 1.
        freeze: parts of the body that do not train.
        long: how texts are read that are longer: see `AutoOptions`.
        max_chunks: the most chunks that a text is read in.
        replaced_sparse: whether the model attends fully instead of in sparse blocks.
    """

    config: PretrainedConfig
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    name: str | None = None
    trust_remote_code: bool = False
    lora: LoraOptions = field(default_factory=LoraOptions)
    freeze: tuple[str, ...] = ()
    long: str = "truncate"
    max_chunks: int = 8
    replaced_sparse: bool = False

    @classmethod
    def pretrained(cls, options: AutoOptions) -> Self:
        """Create a source from a directory or a model of the Hugging Face hub.

        Raises:
            ModelError: when it cannot be found or loaded, has no fast tokenizer or a tokenizer
                with more tokens than embeddings, is an encoder-decoder, or cannot read sequences
                of the chosen length.
        """
        name, trust = find(options.name), options.trust_remote_code
        config = read_config(name, trust)
        tokenizer = read_tokenizer(name, config, trust)
        agree_on_padding(config, tokenizer, name)
        config.is_encoder_decoder = False
        sparse = getattr(config, "attention_type", None) == "block_sparse"
        if sparse:
            # BigBird attends fully to short texts and changes for good when it reads one.
            config.attention_type = "original_full"
        model = skeleton(name, deepcopy(config), trust)
        length = sequence_length(name, options.max_length, tokenizer, model)
        parts = tuple(options.freeze)
        source = cls._of(config, tokenizer, length, name, trust, options.lora, parts)
        return replace(source, replaced_sparse=sparse)

    @classmethod
    def tiny(cls, tokenizer: PreTrainedTokenizerBase, options: TinyOptions) -> Self:
        """Create a source of a small BERT with random weights over a tokenizer.

        Raises:
            ConfigError: an option is not in its range.
        """
        sizes = ("hidden_size", "layers", "heads", "intermediate_size", "max_length")
        check_ranges("model", options, **dict.fromkeys(sizes, "[1, inf)"), dropout="[0, 1)")
        if options.hidden_size % options.heads:
            raise ConfigError(
                f"model.hidden_size must be a multiple of model.heads={options.heads}, got "
                f"{options.hidden_size}."
            )
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=options.hidden_size,
            num_hidden_layers=options.layers,
            num_attention_heads=options.heads,
            intermediate_size=options.intermediate_size,
            hidden_dropout_prob=options.dropout,
            attention_probs_dropout_prob=options.dropout,
            max_position_embeddings=options.max_length,
            pad_token_id=tokenizer.pad_token_id,
        )
        return cls._of(config, tokenizer, options.max_length)

    @classmethod
    def _of(
        cls, config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase, length: int, *rest: Any
    ) -> Self:
        # The exported tokenizer truncates texts where training did.
        tokenizer = deepcopy(tokenizer)
        tokenizer.model_max_length = length
        return cls(config, tokenizer, length, *rest)

    def body(self) -> Body:
        """Build the shared encoder, in training mode.

        Raises:
            ModelError: when the weights cannot be loaded, are not finite, or are incomplete, or
                the body has no layers for adapters.
            ConfigError: when a part to freeze does not exist.
        """
        loaded = self._load(base_class(self.config), self.config)
        left_out = sorted(name for name in loaded.new or () if not name.startswith("pooler"))
        if left_out:
            raise ModelError(
                f"model.name={self.name} has no weights of the right shape for {len(left_out)} "
                f"parameters of its body, for example {left_out[0]}"
            )
        body = Body(loaded.model)
        if self.lora.r:
            adapt(body.model, self.lora)
            replace_dropout(body.model)
        freeze(body.model, self.freeze)
        return body

    def head(
        self,
        kind: str,
        body: Body,
        labels: Sequence[str] | None = None,
        unit: Unit | None = None,
    ) -> LiftedHead:
        """Build the family's own head of a kind on a body of this source, in training mode.

        Args:
            kind: as in the names of transformers' classes: `MaskedLM`, `SequenceClassification`.
            body: lends the head its tied weights.
            labels: the classes, in the order of their ids; None where the kind has none.
            unit: of labels that are numbers, what they are standardised by; None for no unit.

        Returns:
            The head, pre-trained where the weights hold one of the same classes; their order is
            that of `labels`. A head other than a language model's computes in float32, whatever the
            body's precision. Where the body has adapters, a language model's head that the weights
            hold is frozen with it.

        Raises:
            ModelError: when there is no such kind, the family has none, or its head needs more
                than hidden states.
        """
        auto, config = auto_class(kind, self.config), deepcopy(self.config)
        if labels is not None:
            config.id2label = dict(enumerate(labels))
            config.label2id = {label: i for i, label in enumerate(labels)}
        loaded = self._load(auto, config)
        predicts_tokens = kind.endswith(LANGUAGE_MODELS)
        head = lift(loaded.model, body, loaded.new, predicts_tokens=predicts_tokens)
        if labels is not None and self.name is not None and kind in ON_LABELS:
            head.notice = match_classes(head, self.config, labels, loaded.mismatched)
        if unit is not None:
            head.set_unit(unit)
        if self.lora.r and self.name is not None and predicts_tokens:
            head.freeze_loaded()
        return head

    def _load(self, auto: Any, config: PretrainedConfig) -> Loaded:
        """Load a model, or build it with random weights."""
        if self.name is None:
            return random_model(auto, config)
        return pretrained_model(auto, config, self.name, self.trust_remote_code)
