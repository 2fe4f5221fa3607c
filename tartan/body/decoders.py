"""What decoders need besides: a padding token that their heads and tokenizers agree on."""

from collections.abc import Iterator

from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    PretrainedConfig,
    PreTrainedTokenizerBase,
)

from tartan.errors import ModelError


def is_decoder(config: PretrainedConfig) -> bool:
    """Return whether a family has a causal language model and no masked one."""
    kind = type(config)
    causal = kind in AutoModelForCausalLM._model_mapping
    return causal and kind not in AutoModelForMaskedLM._model_mapping


def agree_on_padding(
    config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase, name: str
) -> None:
    """Set the padding token of a tokenizer and of a configuration, where they lack one.

    A decoder's classification head reads the last token that is not `config.pad_token_id`. So the
    two agree, and it is a token that no text ends with. Padding goes behind the text: positions
    then do not depend on it.

    Args:
        config: of the model; it may be changed.
        tokenizer: of the model; it may be changed.
        name: the model's, for errors.

    Raises:
        ModelError: the vocabulary has no token that can be used for padding.
    """
    decoder = is_decoder(config)
    last = tokenizer("a")["input_ids"][-1:]
    if tokenizer.pad_token_id is None or (decoder and tokenizer.pad_token_id in last):
        token = next((t for t in _candidates(tokenizer) if _id(tokenizer, t) not in last), None)
        if token is None:
            raise ModelError(
                f"model.name={name}: its tokenizer has no token to pad with: set its pad_token to "
                "one that no text ends with"
            )
        tokenizer.pad_token = token
    if decoder:
        tokenizer.padding_side = "right"
    if decoder or getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = tokenizer.pad_token_id


def _id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    """Return a token's id."""
    return tokenizer.get_vocab()[token]


def _candidates(tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    """Yield a tokenizer's special tokens, those that usually pad first."""
    usual = (tokenizer.eos_token, tokenizer.unk_token, tokenizer.bos_token)
    yield from (token for token in usual if token is not None)
    yield from tokenizer.all_special_tokens
