"""Tiny random-weight models and a tokenizer, for tests of plugins; nothing is downloaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import AutoConfig, PretrainedConfig, PreTrainedTokenizerFast

from tartan.body.source import ModelSource
from tartan.quiet import quiet

PACKED_FAMILIES = ("bert", "roberta", "distilbert", "electra", "modernbert", "albert")
"""Families that read packed sequences."""

PADDED_FAMILIES = ("deberta-v2", "mpnet")
"""Families that do not use transformers' attention interface, and read padded sequences."""

FAMILIES = PACKED_FAMILIES + PADDED_FAMILIES
"""All families that `tiny_config` supports."""

# Padding is token 1, as in RoBERTa, so that confusing it with position or token 0 shows.
_SPECIAL = {"cls": "[CLS]", "pad": "[PAD]", "sep": "[SEP]", "unk": "[UNK]", "mask": "[MASK]"}
_WORDS = (
    "the a of and to in we is that for our this with by on are as from model models method methods "
    "data train training test results result show use used using paper work task tasks language "
    "text word words sentence learning learn neural network previous propose proposed new other "
    "better than good bad not more most very red green blue one two three"
)
_RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
_T5 = {"d_kv": 8, "d_ff": 32}
_GROUPED = {"num_key_value_heads": 1, "head_dim": 8}
_FAMILY_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    # A width of its own for the embeddings, as the published models have.
    "electra": {"embedding_size": 8},
    "albert": {"embedding_size": 8},
    # Windows of 4 tokens to either side, in every second layer.
    "modernbert": {"local_attention": 8, "global_attn_every_n_layers": 2},
    "deberta": {**_RELATIVE, "pooler_hidden_size": 16},
    "deberta-v2": {**_RELATIVE, "position_buckets": 8, "pooler_hidden_size": 16},
    "eurobert": {"mask_token_id": 4},
    "funnel": {"d_head": 8, "d_inner": 32, "block_sizes": [1, 1], "block_repeats": [1, 1]},
    "neomme": {"head_dim": 16, "num_key_value_heads": 1, "embedding_rank": 8, "embedding_dim": 8},
    "xlnet": {"d_inner": 32, "d_head": 8},
    "longformer": {"attention_window": 8},
    "convbert": {"embedding_size": 16, "conv_kernel_size": 3, "head_ratio": 2},
    **dict.fromkeys(("t5", "mt5", "umt5"), _T5),
    # Keys and values of one head for two heads of queries.
    **dict.fromkeys(("llama", "qwen3", "smollm3", "t5gemma"), _GROUPED),
    "qwen2": {**_GROUPED, "vocab_size": 72},  # its tokenizer class adds a token
    "gemma": {**_GROUPED, "head_dim": 16},
    "mistral": {**_GROUPED, "sliding_window": 5},
}
_WITHOUT: Mapping[str, tuple[str, ...]] = {
    "funnel": ("num_hidden_layers", "max_position_embeddings"),
    "xlnet": ("max_position_embeddings",),
}
"""Settings of `tiny_config` that a family's configuration does not have."""


def words() -> list[str]:
    """Return the words that `tiny_tokenizer` knows."""
    return _WORDS.split()


def tiny_tokenizer(*, bare: bool = False) -> PreTrainedTokenizerFast:
    """Return a fast tokenizer of about 80 lower-case words, with `[CLS] text [SEP]`.

    `bare`: as many decoders have it: no token is added to a text, and there is an end-of-text and
    an unknown token, but none that separates, masks or pads.
    """
    vocabulary = {token: i for i, token in enumerate([*_SPECIAL.values(), *_WORDS.split()])}
    backend = Tokenizer(WordLevel(vocabulary, unk_token=_SPECIAL["unk"]))
    backend.normalizer = Lowercase()
    backend.pre_tokenizer = Whitespace()
    if bare:
        return PreTrainedTokenizerFast(
            tokenizer_object=backend, eos_token=_SPECIAL["sep"], unk_token=_SPECIAL["unk"]
        )
    backend.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    named = {f"{role}_token": token for role, token in _SPECIAL.items()}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **named)


def tiny_config(family: str = "bert", **options: Any) -> PretrainedConfig:
    """Return a configuration of two layers and width 16, for `tiny_tokenizer`.

    Args:
        family: one of `FAMILIES`, or another of transformers' model types.
        options: fields of the configuration to set otherwise.
    """
    ids = {role: i for i, role in enumerate(_SPECIAL)}
    settings: dict[str, Any] = {
        "vocab_size": len(tiny_tokenizer()),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
        "pad_token_id": ids["pad"],
        "bos_token_id": ids["cls"],
        "eos_token_id": ids["sep"],
        "cls_token_id": ids["cls"],
        "sep_token_id": ids["sep"],
        # Weights large enough that every part of a tiny model tells in its output.
        "initializer_range": 0.2,
    }
    for name in _WITHOUT.get(family, ()):
        settings.pop(name)
    settings |= {**_FAMILY_OPTIONS.get(family, {}), **options}
    if family == "t5gemma":  # an encoder and a decoder, each with a configuration of its own
        settings = {name: dict(settings) for name in ("encoder", "decoder")} | settings
    return AutoConfig.for_model(family, **settings)


def tiny_source(family: str = "bert", **options: Any) -> ModelSource:
    """Return a tiny model's source with random weights; with the arguments of `tiny_config`."""
    tokenizer = tiny_tokenizer()
    tokenizer.model_max_length = 48
    return ModelSource(tiny_config(family, **options), tokenizer, 48)


def save_tiny(
    directory: Path,
    family: str = "bert",
    kind: str = "MaskedLM",
    *,
    bare: bool = False,
    **options: Any,
) -> Path:
    """Save a tiny model with random weights and its tokenizer, as `from_pretrained` reads them.

    Args:
        directory: where to.
        family: one of `FAMILIES`, or another of transformers' model types.
        kind: the head to save with the body, as `MaskedLM` in `AutoModelForMaskedLM`.
        bare: as in `tiny_tokenizer`.
        options: fields of the configuration to set otherwise.

    Returns:
        The directory.
    """
    auto = getattr(transformers, f"AutoModelFor{kind}")
    with quiet():
        auto.from_config(tiny_config(family, **options)).save_pretrained(directory)
        tiny_tokenizer(bare=bare).save_pretrained(directory)
    return directory
