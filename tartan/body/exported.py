"""An exported model, as plain transformers reads it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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

from tartan.body.adapters import ADAPTER_FILE, CONFIG, load_adapter
from tartan.body.auto_class import base_class
from tartan.body.source import AutoOptions, ModelSource
from tartan.body.weights import Loaded
from tartan.errors import CheckpointError, first_line
from tartan.quiet import quiet

TOKENS = "TokenClassification"
"""How the names of architectures end whose outputs are tags of words."""


def load_model(directory: Path, trusted: bool = False) -> PreTrainedModel:
    """Return the model in a directory, on the CPU, in float32 and evaluation mode.

    Args:
        directory: a Hugging Face directory of a model for sequences or tokens, or of an adapter,
            which is merged into its base model.
        trusted: whether Python code that comes with the model may run.

    Raises:
        CheckpointError: it cannot be read.
        ConfigError: it holds an adapter, and peft is not installed.
    """
    with quiet(), _reading(directory):
        adapter = (directory / ADAPTER_FILE).is_file()
        place = directory / CONFIG if adapter else directory
        config = AutoConfig.from_pretrained(place, trust_remote_code=trusted)
        tags = is_tagger(config)
        auto = AutoModelForTokenClassification if tags else AutoModelForSequenceClassification
        model: PreTrainedModel
        if adapter:
            model = load_adapter(directory, auto, config, trusted)
        else:
            model = auto.from_pretrained(
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


class _Merged(ModelSource):
    """Builds body and head from an adapter's directory, which holds both in one."""

    def _load(self, auto: Any, config: PretrainedConfig) -> Loaded:  # noqa: ARG002
        """Load the merged model, or the body in it."""
        model = load_model(Path(str(self.name)), self.trust_remote_code)
        if auto is base_class(self.config):
            model = getattr(model, model.base_model_prefix)
        return Loaded(model, frozenset())


def exported_source(directory: Path, trusted: bool) -> ModelSource:
    """Return a source of body and head in a directory that a run exported.

    Args:
        directory: of a model, or of an adapter.
        trusted: whether Python code that comes with the model may run.

    Raises:
        CheckpointError, ModelError: it cannot be read.
    """
    if not (directory / ADAPTER_FILE).is_file():
        return ModelSource.pretrained(AutoOptions(name=str(directory), trust_remote_code=trusted))
    with quiet(), _reading(directory):
        config = AutoConfig.from_pretrained(directory / CONFIG, trust_remote_code=trusted)
    tokenizer = load_tokenizer(directory, trusted)
    return _Merged(config, tokenizer, tokenizer.model_max_length, str(directory), trusted)


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
    if (directory / ADAPTER_FILE).is_file() and not (directory / CONFIG).is_dir():
        raise CheckpointError(
            f"{directory} holds an adapter without the configuration of its model, {CONFIG}/: "
            "tartan reads those that it wrote; load this one with peft"
        )
    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(
            f"{directory} cannot be read as a model: {first_line(error)}"
        ) from error
