"""The exported model of a run, as plain transformers reads it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from tartan.errors import CheckpointError
from tartan.quiet import quiet

MODEL = "model"
"""The directory of the exported model in a run's."""
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
        tags = any(name.endswith(TOKENS) for name in config.architectures or ())
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


@contextmanager
def _reading(directory: Path) -> Iterator[None]:
    """CheckpointError in a block that cannot read a model's directory."""
    if not directory.is_dir():
        raise CheckpointError(
            f"{directory} is missing: give the same command as for the run to have it written again"
        )
    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(f"{directory} cannot be read as a model: {reason}") from error
