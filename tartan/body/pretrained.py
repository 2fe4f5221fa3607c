"""Find the parts of a pretrained model: directory or hub id, configuration, tokenizer, sizes."""

from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto import modeling_auto

from tartan.body.auto_class import base_class
from tartan.body.reading import position_limit
from tartan.body.refusals import check_directory, check_kind, unreadable
from tartan.body.verification import FAILURES
from tartan.errors import ModelError, first_line, suggest
from tartan.quiet import quiet

UNUSABLE = (*FAILURES, ImportError, StrictDataclassError)
"""What transformers raises for a model's files that need something that is not available."""

UNBOUNDED = 10**6
"""A tokenizer whose longest sequence has at least this many tokens sets no limit."""


def find(name: str | None) -> str:
    """Return a model's directory if it exists, or its id on the hub; ModelError for neither."""
    if not name:
        raise ModelError("model.name is empty: give a directory or an id on the Hugging Face hub")
    try:
        path = Path(name).expanduser()
        exists, directory = path.exists(), path.is_dir()
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"model.name={name} cannot be looked up ({short_reason(error)})"
        ) from error
    if directory:
        return str(path)
    if exists:
        raise ModelError(f"model.name={name} is a file: give the directory it is in")
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(f"model.name={name}: there is no such directory")
    return name


def read_config(name: str, trust_remote_code: bool) -> PretrainedConfig:
    """Load a model's configuration. ModelError if it cannot be used."""
    if Path(name).is_dir():
        check_directory(Path(name))
    try:
        with quiet():
            config: PretrainedConfig = AutoConfig.from_pretrained(
                name, trust_remote_code=trust_remote_code
            )
        # A kernel's name would make transformers download and run code.
        config._attn_implementation = None
    except OSError as error:
        raise unreadable(name, error) from error
    except UNUSABLE as error:
        raise ModelError(
            f"model.name={name}: its configuration cannot be used ({short_reason(error)})"
        ) from error
    check_kind(name, config)
    return config


def read_tokenizer(
    name: str, config: PretrainedConfig, trust_remote_code: bool
) -> PreTrainedTokenizerBase:
    """Load a model's fast tokenizer. ModelError if it has none that matches its embeddings."""
    try:
        with quiet():
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                name, use_fast=True, trust_remote_code=trust_remote_code
            )
    except (OSError, *UNUSABLE) as error:
        raise ModelError(
            f"model.name={name}: its tokenizer cannot be loaded ({short_reason(error)})"
        ) from error
    # Without tokenizer files transformers makes one that has the special tokens only.
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise ModelError(f"model.name={name} has no tokenizer: its vocabulary is empty")
    if isinstance(tokenizer.chat_template, dict):
        for template in tokenizer.chat_template:
            # Each becomes a file of the exported model.
            if Path(template).name != template:
                raise ModelError(
                    f"model.name={name}: its tokenizer has a chat template named '{template}', "
                    "which is not a file name: rename it"
                )
    if not tokenizer.is_fast:
        raise ModelError(f"model.name={name} has no fast tokenizer: save one with the model")
    embedded = getattr(config, "vocab_size", None)
    if embedded is None:
        raise ModelError(
            f"model.name={name} ({config.model_type}) has no vocabulary: choose a model that reads "
            "text only"
        )
    # Ids may have gaps, so the highest one counts rather than their number.
    needed = 1 + max(tokenizer.get_vocab().values())
    if needed > embedded:
        raise ModelError(
            f"model.name={name}: its tokenizer has {needed} tokens, its weights have embeddings "
            f"for {embedded}: use the tokenizer that the model was trained with"
        )
    return tokenizer


def skeleton(name: str, config: PretrainedConfig, trust_remote_code: bool) -> PreTrainedModel:
    """Build a body without storage, to read its sizes from; ModelError if it cannot be built."""
    auto = base_class(config)
    if not _offers(config, auto):
        raise ModelError(
            f"model.name={name} ({config.model_type}) has an architecture without a base model in "
            "transformers: choose another model family"
        )
    try:
        with quiet(), torch.random.fork_rng(devices=[]), torch.device("meta"):
            model: PreTrainedModel = auto.from_config(config, trust_remote_code=trust_remote_code)
    except UNUSABLE as error:
        raise ModelError(
            f"model.name={name} ({config.model_type}) cannot be built from its configuration "
            f"({short_reason(error)})"
        ) from error
    if not model.base_model_prefix:
        raise ModelError(
            f"model.name={name} ({config.model_type}) does not name the body in its models with a "
            "head: choose another model family"
        )
    return model


def sequence_length(
    name: str, wanted: int | None, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel
) -> int:
    """Return the longest sequence in tokens: as chosen, or as tokenizer and positions allow."""
    limits = sequence_limits(tokenizer, model)
    if wanted is None and not limits:
        raise ModelError(
            f"model.name={name}: neither its tokenizer nor its positions limit the sequence "
            "length: set model.max_length"
        )
    if wanted is not None and not 1 <= wanted <= min(limits, default=wanted):
        most = f" to {min(limits)}" if limits else " or more"
        raise ModelError(f"model.max_length must be 1{most} for {name}, got {wanted}")
    return min(limits) if wanted is None else wanted


def sequence_limits(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> list[int]:
    """Return the limits that tokenizer and positions set to a sequence, in tokens; or none."""
    longest, positions = tokenizer.model_max_length, position_limit(model)
    return [limit for limit in (longest, positions) if limit is not None and limit < UNBOUNDED]


def auto_class(kind: str, config: PretrainedConfig) -> Any:
    """Return transformers' auto class for a kind of head; ModelError if the family has none."""
    prefix = "AutoModelFor"
    kinds = [name[len(prefix) :] for name in dir(modeling_auto) if name.startswith(prefix)]
    if kind not in kinds:
        raise ModelError(f"unknown kind of head {kind!r}: {suggest(kind, kinds)}")
    offered = [each for each in kinds if _offers(config, getattr(modeling_auto, prefix + each))]
    if kind not in offered:
        raise ModelError(
            f"{config.model_type} has no {kind} head in transformers; "
            f"it has: {', '.join(offered) or 'none'}"
        )
    return getattr(modeling_auto, prefix + kind)


def _offers(config: PretrainedConfig, auto: Any) -> bool:
    """Return whether a family has a model for a task, in transformers or in its own code."""
    remote = getattr(config, "auto_map", None) or {}
    return type(config) in auto._model_mapping or auto.__name__ in remote


def short_reason(error: Exception) -> str:
    """Return the first line of an error's text, at most 160 characters."""
    line = first_line(error)
    return line if len(line) <= 160 else f"{line[:157]}..."
