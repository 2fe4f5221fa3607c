"""What a run's body and heads are made of: a pretrained model, or random weights."""

from collections.abc import Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pickle import UnpicklingError
from typing import Any, Self

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModel,
    BertConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from tartan.body.body import Body
from tartan.body.heads import LiftedHead, lift
from tartan.body.pretrained import (
    UNUSABLE,
    auto_class,
    find,
    read_config,
    read_tokenizer,
    sequence_length,
    skeleton,
    summary,
)
from tartan.errors import ModelError
from tartan.quiet import quiet


@dataclass
class TinyOptions:
    """A small BERT with random weights, over a vocabulary trained on the run's own texts.

    Attributes:
        kind: `tiny`, which tells these options from `AutoOptions`.
        vocab_size: most tokens the vocabulary may have.
        hidden_size: width of the hidden states; a multiple of heads.
        layers: transformer layers.
        heads: attention heads of a layer.
        intermediate_size: width of a layer's feed-forward part.
        dropout: of hidden states and attention weights, at least 0 and below 1.
        max_length: the longest sequence, in tokens; longer texts are cut.
    """

    kind: str = "tiny"
    vocab_size: int = 2000
    hidden_size: int = 64
    layers: int = 2
    heads: int = 2
    intermediate_size: int = 256
    dropout: float = 0.1
    max_length: int = 128


@dataclass
class AutoOptions:
    """A pretrained model.

    Attributes:
        kind: `auto`, which tells these options from `TinyOptions`.
        name: a directory, or an id on the Hugging Face hub.
        max_length: the longest sequence, in tokens; longer texts are cut. None for the longest
            that the model reads.
        trust_remote_code: whether Python code that comes with the model may run.
    """

    kind: str = "auto"
    name: str | None = None
    max_length: int | None = None
    trust_remote_code: bool = False


@dataclass(frozen=True)
class ModelSource:
    """Makes the body of a run and the heads on it, float32 throughout.

    Random weights are drawn from the global generator as it stands, which is left as it was: wrap a
    call in `tartan.seeding.seeded` to choose them.

    Attributes:
        config: the architecture.
        tokenizer: a fast tokenizer; its model_max_length is max_length.
        max_length: the longest sequence, in tokens.
        name: where the weights are; None for random ones.
        trust_remote_code: whether Python code that comes with the model may run.
    """

    config: PretrainedConfig
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    name: str | None = None
    trust_remote_code: bool = False

    @classmethod
    def pretrained(cls, options: AutoOptions) -> Self:
        """A directory, or a model of the Hugging Face hub.

        Raises:
            ModelError: when it cannot be found or loaded, has no fast tokenizer or a tokenizer
                with more tokens than the body, is no encoder, or is asked for longer sequences
                than it reads.
        """
        name, trust = find(options.name), options.trust_remote_code
        config = read_config(name, trust)
        tokenizer = read_tokenizer(name, config, trust)
        if config.is_encoder_decoder:
            raise ModelError(
                f"model.name={name} ({config.model_type}) is an encoder-decoder: choose an encoder"
            )
        model = skeleton(name, deepcopy(config), trust)
        length = sequence_length(name, options.max_length, tokenizer, model)
        return cls._of(config, tokenizer, length, name, trust)

    @classmethod
    def tiny(cls, tokenizer: PreTrainedTokenizerBase, options: TinyOptions) -> Self:
        """A small BERT with random weights over a tokenizer.

        Raises:
            ModelError: when the options describe no model.
        """
        sizes = (options.hidden_size, options.layers, options.heads, options.intermediate_size)
        if min(*sizes, options.max_length) < 1 or options.hidden_size % options.heads:
            raise ModelError(
                f"model sizes must be at least 1, and hidden_size={options.hidden_size} a multiple "
                f"of heads={options.heads}"
            )
        if not 0 <= options.dropout < 1:
            raise ModelError(f"model.dropout is {options.dropout}: give at least 0 and below 1")
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
        # What is exported should cut texts where training did.
        tokenizer = deepcopy(tokenizer)
        tokenizer.model_max_length = length
        return cls(config, tokenizer, length, *rest)

    def body(self) -> Body:
        """The shared encoder, in training mode.

        Raises:
            ModelError: when the weights cannot be loaded or leave some of the body out.
        """
        model, missing = self._model(AutoModel, self.config)
        left_out = sorted(name for name in missing or () if not name.startswith("pooler"))
        if left_out:
            raise ModelError(
                f"model.name={self.name} holds no weights of the right shape for {len(left_out)} "
                f"parts of its body, {left_out[0]} among them"
            )
        return Body(model)

    def head(self, kind: str, body: Body, labels: Sequence[str] | None = None) -> LiftedHead:
        """The family's own head of a kind on a body of this source, in training mode.

        Args:
            kind: as in the names of transformers' classes: `MaskedLM`, `SequenceClassification`.
            body: what lends the head its tied weights.
            labels: the classes, in the order of their ids; None where the kind has none.

        Returns:
            The head, pre-trained where the weights hold one of the same shape.

        Raises:
            ModelError: when there is no such kind, the family has none, or its head reads more
                than hidden states.
        """
        auto, config = auto_class(kind, self.config), deepcopy(self.config)
        if labels is not None:
            config.id2label = dict(enumerate(labels))
            config.label2id = {label: i for i, label in enumerate(labels)}
        model, missing = self._model(auto, config)
        return lift(model, body, missing)

    def _model(
        self, auto: Any, config: PretrainedConfig
    ) -> tuple[PreTrainedModel, Collection[str] | None]:
        """A model, and the names of what no weights were found for; None for everything."""
        with quiet(), torch.random.fork_rng(devices=[]):
            if self.name is None:
                return auto.from_config(deepcopy(config), dtype=torch.float32), None
            try:
                model, report = auto.from_pretrained(
                    self.name,
                    config=deepcopy(config),
                    dtype=torch.float32,
                    trust_remote_code=self.trust_remote_code,
                    ignore_mismatched_sizes=True,
                    output_loading_info=True,
                )
            except (OSError, UnpicklingError, SafetensorError, *UNUSABLE) as error:
                raise ModelError(
                    f"model.name={self.name}: its weights cannot be loaded ({summary(error)})"
                ) from error
        missing = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
        return model, missing
