"""Export a Hugging Face directory to ONNX, and compare the logits."""

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tartan.errors import ConfigError, ModelError, suggest, with_type
from tartan.files import write_whole

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""What the export needs, by the names of modules: `pip install 'tartan[onnx]'`."""
FILE = "model.onnx"
DIRECTORY = "onnx"
"""Where optimum and transformers.js look for the file, in a model's directory."""
LARGEST = 2**31 - 2**26
"""Bytes of weights that one file can hold; more are written beside it."""
CLOSE = 1e-4
"""The largest difference of a logit, relative to the largest logit or 1."""


def check_export(name: str | None, *, installed: bool = True) -> None:
    """ConfigError unless a format is None, or known and, where it has to be `installed`, is."""
    if name is None:
        return
    if name != "onnx":
        raise ConfigError(f"export={name}: {suggest(name, ['onnx'])}")
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if installed and missing:
        raise ConfigError(
            f"export=onnx needs {', '.join(missing)}: pip install 'tartan[onnx]', or leave it out"
        )


def export_onnx(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, directory: Path
) -> None:
    """Write `onnx/model.onnx` in a model's directory.

    Its inputs are `input_ids`, `attention_mask`, and `token_type_ids` where the tokenizer gives
    them, [rows, tokens] int64; its output is `logits`, float32. Rows and tokens may be any number.
    The file is compared with the model, by onnxruntime, before it has its name.

    Args:
        model: on the CPU, in evaluation mode.
        tokenizer: its tokenizer.
        directory: the model's.

    Raises:
        ModelError: torch cannot export the model, or the logits differ.
        StorageError: the file cannot be written.
    """
    family = type(model).__name__

    def write(beside: Path) -> None:
        traced = _inputs(tokenizer, ["one two three", "one"])
        try:
            with _silent(), torch.inference_mode(False), torch.no_grad():
                program = torch.onnx.export(
                    model,
                    (),
                    kwargs=traced,
                    dynamo=True,
                    verbose=False,
                    input_names=list(traced),
                    output_names=["logits"],
                    dynamic_shapes={name: {0: "rows", 1: "tokens"} for name in traced},
                )
        # Its errors have many types, as it runs the model's code in several ways.
        except Exception as error:
            raise ModelError(
                f"export=onnx: torch cannot export {family} ({with_type(error)[:200]}): "
                "leave export=onnx out"
            ) from error
        assert program is not None
        size = sum(p.numel() * p.element_size() for p in model.parameters())
        program.save(beside / FILE, external_data=size > LARGEST)
        _compare(model, tokenizer, beside / FILE, family)

    write_whole(directory / DIRECTORY, write)


def _compare(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, file: Path, family: str
) -> None:
    """ModelError where a file's logits are not the model's, for texts of other lengths."""
    import onnxruntime  # noqa: PLC0415 - optional

    inputs = _inputs(tokenizer, ["one", "one two three four five six", "two three"])
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {name: value.numpy() for name, value in inputs.items()})
    with torch.no_grad():
        expected = model(**inputs).logits
    scale = max(1.0, float(expected.abs().max()))
    difference = float((torch.from_numpy(found) - expected).abs().max()) / scale
    if not difference <= CLOSE:
        raise ModelError(
            f"export=onnx: the exported {family} has other logits (by {difference:.1e}): leave "
            "export=onnx out"
        )


def _inputs(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> dict[str, Any]:
    """Return texts as a padded batch."""
    return dict(tokenizer(texts, padding=True, return_tensors="pt"))


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the exporter's warnings off the terminal through a block."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
