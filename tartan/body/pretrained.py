"""Find a pretrained model's parts, or say in one line what is missing."""

from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto import modeling_auto

from tartan.body.reading import position_limit
from tartan.body.verification import FAILURES
from tartan.errors import ModelError, suggest
from tartan.quiet import quiet

UNUSABLE = (*FAILURES, ImportError, StrictDataclassError)
"""What transformers raises where the files of a model ask for what cannot be had."""

UNBOUNDED = 10**6
"""A tokenizer that claims at least this many tokens was never told a length."""


def find(name: str | None) -> str:
    """A model's directory if there is one, or else its id on the hub; ModelError for neither."""
    if not name:
        raise ModelError("model.name is empty: give a directory or an id on the Hugging Face hub")
    try:
        path = Path(name).expanduser()
        there, directory = path.exists(), path.is_dir()
    except (OSError, RuntimeError) as error:
        raise ModelError(f"model.name={name} cannot be looked for ({first_line(error)})") from error
    if directory:
        return str(path)
    if there:
        raise ModelError(f"model.name={name} is a file: give the directory it is in")
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(f"model.name={name}: there is no such directory")
    return name


def read_config(name: str, trust_remote_code: bool) -> PretrainedConfig:
    """A model's configuration."""
    if Path(name).is_dir() and not Path(name, "config.json").is_file():
        raise ModelError(f"model.name={name}: the directory has no config.json")
    try:
        with quiet():
            config: PretrainedConfig = AutoConfig.from_pretrained(
                name, trust_remote_code=trust_remote_code
            )
        # A kernel's name, for which transformers would fetch and run code.
        config._attn_implementation = None
    except OSError as error:
        raise ModelError(
            f"model.name={name} is no directory here, and cannot be had from the Hugging Face hub "
            f"or its local cache ({first_line(error)})"
        ) from error
    except UNUSABLE as error:
        raise ModelError(
            f"model.name={name}: its configuration cannot be used ({first_line(error)})"
        ) from error
    return config


def read_tokenizer(
    name: str, config: PretrainedConfig, trust_remote_code: bool
) -> PreTrainedTokenizerBase:
    """A model's fast tokenizer, whose every token the model knows."""
    try:
        with quiet():
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                name, use_fast=True, trust_remote_code=trust_remote_code
            )
    except (OSError, *UNUSABLE) as error:
        raise ModelError(
            f"model.name={name}: its tokenizer cannot be loaded ({first_line(error)})"
        ) from error
    # Without tokenizer files transformers makes one up that knows the special tokens alone.
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise ModelError(f"model.name={name} has no tokenizer: its vocabulary is empty")
    if isinstance(tokenizer.chat_template, dict):
        for template in tokenizer.chat_template:
            # Each becomes a file of the exported model.
            if Path(template).name != template:
                raise ModelError(
                    f"model.name={name}: its tokenizer has a chat template named '{template}', "
                    "which is no file name: rename it"
                )
    if not tokenizer.is_fast:
        raise ModelError(f"model.name={name} has no fast tokenizer: save one with the model")
    embedded = getattr(config, "vocab_size", None)
    if embedded is None:
        raise ModelError(
            f"model.name={name} ({config.model_type}) has no vocabulary of its own: choose a model "
            "that reads text alone"
        )
    # Ids may have gaps, so that the highest says more than how many there are.
    needed = 1 + max(tokenizer.get_vocab().values())
    if needed > embedded:
        raise ModelError(
            f"model.name={name}: its tokenizer has {needed} tokens and its body embeds "
            f"{embedded}; they do not belong together"
        )
    return tokenizer


def skeleton(name: str, config: PretrainedConfig, trust_remote_code: bool) -> PreTrainedModel:
    """A body without storage, which shows what its architecture is; ModelError if none is."""
    if not _offers(config, AutoModel):
        raise ModelError(
            f"model.name={name} ({config.model_type}) is of an architecture that transformers has "
            "no base model for: choose another model family"
        )
    try:
        with quiet(), torch.random.fork_rng(devices=[]), torch.device("meta"):
            model: PreTrainedModel = AutoModel.from_config(
                config, trust_remote_code=trust_remote_code
            )
    except UNUSABLE as error:
        raise ModelError(
            f"model.name={name} ({config.model_type}) has no body that can be built from its "
            f"configuration ({first_line(error)})"
        ) from error
    if not model.base_model_prefix:
        raise ModelError(
            f"model.name={name} ({config.model_type}) names no body in its models with a head: "
            "choose another model family"
        )
    return model


def sequence_length(
    name: str, wanted: int | None, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel
) -> int:
    """The longest sequence, in tokens: what is wanted, or what tokenizer and positions allow."""
    told = tokenizer.model_max_length
    limits = [told] if told < UNBOUNDED else []
    if (positions := position_limit(model)) is not None:
        limits.append(positions)
    if wanted is None and not limits:
        raise ModelError(
            f"model.name={name}: neither tokenizer nor positions set a longest sequence; "
            "give model.max_length"
        )
    if wanted is not None and not 1 <= wanted <= min(limits, default=wanted):
        most = f" to {min(limits)}" if limits else " or more"
        raise ModelError(f"model.max_length is {wanted}: {name} reads 1{most} tokens")
    return min(limits) if wanted is None else wanted


def auto_class(kind: str, config: PretrainedConfig) -> Any:
    """Transformers' auto class for a kind of head; ModelError if the family has no such head."""
    prefix = "AutoModelFor"
    kinds = [name[len(prefix) :] for name in dir(modeling_auto) if name.startswith(prefix)]
    if kind not in kinds:
        raise ModelError(f"there is no kind of head called {kind!r}: {suggest(kind, kinds)}")
    offered = [each for each in kinds if _offers(config, getattr(modeling_auto, prefix + each))]
    if kind not in offered:
        raise ModelError(
            f"{config.model_type} has no {kind} head in transformers; "
            f"it has: {', '.join(offered) or 'none'}"
        )
    return getattr(modeling_auto, prefix + kind)


def _offers(config: PretrainedConfig, auto: Any) -> bool:
    """Whether a family has a model for a task, in transformers or in code of its own."""
    remote = getattr(config, "auto_map", None) or {}
    return type(config) in auto._model_mapping or auto.__name__ in remote


def first_line(error: Exception) -> str:
    """The first line of an error's text, at most 160 characters of it."""
    line = next(iter(str(error).strip().splitlines()), "")
    return line if len(line) <= 160 else f"{line[:157]}..."
