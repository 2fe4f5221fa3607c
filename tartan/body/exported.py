"""An exported model, as plain transformers reads it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from tartan.errors import CheckpointError
from tartan.quiet import quiet

TOKENS = "TokenClassification"
"""How the names of architectures end whose outputs are tags of words."""


def load_model(directory: Path, trusted: bool = False) -> PreTrainedModel:
    """Return the model in a directory, on the CPU, in float32 and evaluation mode.

    Args:
        directory: a Hugging Face directory of a model for sequences or tokens.
        trusted: whether Python code that comes with the model may run.

    Raises:
        CheckpointError: it cannot be read.
    """
    with quiet(), _reading(directory):
        config = AutoConfig.from_pretrained(directory, trust_remote_code=trusted)
        tags = is_tagger(config)
        auto = AutoModelForTokenClassification if tags else AutoModelForSequenceClassification
        model: PreTrainedModel = auto.from_pretrained(
            directory, trust_remote_code=trusted, local_files_only=True
        )
        model.eval()
    return model


def load_tokenizer(directory: Path, trusted: bool = False) -> PreTrainedTokenizerBase:
    """Return the tokenizer in a directory; errors and arguments are those of `load_model`."""
    with quiet(), _reading(directory):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            directory, trust_remote_code=trusted, local_files_only=True
        )
    return tokenizer


def is_tagger(config: PretrainedConfig) -> bool:
    """Return whether a model's outputs are tags of words."""
    return any(name.endswith(TOKENS) for name in config.architectures or ())


@contextmanager
def _reading(directory: Path) -> Iterator[None]:
    """CheckpointError in a block that cannot read a model's directory."""
    if not directory.is_dir():
        raise CheckpointError(
            f"{directory} is missing: give the same command as for the run to have it written again"
        )
    if (directory / "adapter_config.json").is_file():
        raise CheckpointError(
            f"{directory} holds an adapter without its base model: train with "
            "model.lora.export=merged, or load it with peft"
        )
    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(f"{directory} cannot be read as a model: {reason}") from error
