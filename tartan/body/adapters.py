"""Adapters: LoRA (Hu et al., ICLR 2022) by the package peft, in a body whose weights are frozen.

`adapt` injects them in place: the body's code, and so how it reads sequences, stays the family's.
An export puts merged weights in their place for a moment, or writes peft's own format.
"""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from tartan.checks import check_choice, check_ranges
from tartan.errors import ConfigError, ModelError, first_line
from tartan.quiet import quiet

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
EXPORTS = ("merged", "adapter")
PREFIX = "base_model.model."
"""What peft puts before the names of a model's parameters."""
ADAPTER = "default"
"""The name of the adapter, which files do not contain."""
ADAPTER_FILE = "adapter_config.json"
"""What a directory of an adapter has, and one of a model does not."""
CONFIG = "config"
"""Where an adapter's directory has the configuration of the complete model, with its labels: peft's
format has none, and transformers would take the directory for a model's if it was beside."""


@dataclass
class LoraOptions:
    """LoRA adapters in the body; its own weights are then frozen.

    Attributes:
        r: rank of the adapters, at least 1; 0 for none.
        alpha: the adapters' output is multiplied by alpha / r.
        dropout: of the adapters' input, at least 0 and below 1.
        target_modules: the linear layers with an adapter: `all-linear`, or a list of ends of their
            names, such as `[q_proj, v_proj]`.
        base: precision in which the frozen weights are held: `fp32`, or `bf16`, in half the memory.
            Evaluation and export compute in float32.
        export: `merged`, a model without adapters, or `adapter`, peft's format without the frozen
            weights.
    """

    r: int = 0
    alpha: float = 32.0
    dropout: float = 0.05
    target_modules: Any = "all-linear"
    base: str = "fp32"
    export: str = "merged"

    def __post_init__(self) -> None:
        """ConfigError where a value has no meaning."""
        where = "model.lora"
        if self.r < 0:
            raise ConfigError(f"{where}.r must be at least 1, or 0 for no adapters, got {self.r}.")
        check_ranges(where, self, dropout="[0, 1)", alpha="(0, inf)")
        check_choice(f"{where}.base", self.base, DTYPES)
        check_choice(f"{where}.export", self.export, EXPORTS)


def adapt(model: PreTrainedModel, options: LoraOptions) -> None:
    """Freeze a body's weights and inject adapters, in float32, whose output is 0 at first.

    Their weights are sampled from the global generator.

    Raises:
        ConfigError: peft is not installed.
        ModelError: no layer has a name that was given, or peft has no adapter for one.
    """
    if find_spec("peft") is None:
        raise ConfigError("model.lora needs the package peft: pip install 'tartan[peft]'")
    from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415  (optional)

    targets = options.target_modules
    config = LoraConfig(
        r=options.r,
        lora_alpha=options.alpha,  # type: ignore[arg-type]  # a factor, which may be a fraction
        lora_dropout=options.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
    )
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it handles GPT-2's transposed layers
            inject_adapter_in_model(config, model, ADAPTER)
    except ValueError as error:
        reason = first_line(error)
        raise ModelError(f"model.lora.target_modules={targets}: {reason}") from error
    for layer in adapted(model).values():
        for name, parameter in layer.named_parameters():
            if "lora_" in name:
                parameter.data = parameter.data.float()
                parameter.requires_grad_()
    set_frozen_dtype(model, DTYPES[options.base])


def set_frozen_dtype(model: nn.Module, dtype: torch.dtype) -> None:
    """Hold a model's frozen weights in a precision."""
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)


@contextmanager
def precise(model: nn.Module) -> Iterator[None]:
    """Hold a model's frozen weights in float32 during a block; their values stay the same."""
    held = [(p, p.dtype) for p in model.parameters() if not p.requires_grad]
    held = [(parameter, dtype) for parameter, dtype in held if dtype != torch.float32]
    for parameter, _ in held:
        parameter.data = parameter.data.float()
    try:
        yield
    finally:
        for parameter, dtype in held:
            parameter.data = parameter.data.to(dtype)


def adapted(model: nn.Module) -> Mapping[str, Any]:
    """Return the layers of a model that have an adapter, by name."""
    if find_spec("peft") is None:
        return {}
    from peft.tuners.lora import LoraLayer  # noqa: PLC0415  (optional)

    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


@contextmanager
@torch.no_grad()
def merged(model: nn.Module) -> Iterator[None]:
    """Put plain layers with merged weights in the place of adapted ones during a block.

    Everything is float32 then. The adapted layers come back unchanged, to the last bit.
    """
    layers = adapted(model)
    if not layers:
        yield
        return
    with precise(model):
        weights = []
        for name, layer in layers.items():
            base = layer.get_base_layer()
            weights.append((base, base.weight.data))
            base.weight.data = base.weight.data + layer.get_delta_weight(ADAPTER)
            _put(model, name, base)
        try:
            yield
        finally:
            for (base, weight), (name, layer) in zip(weights, layers.items(), strict=True):
                base.weight.data = weight
                _put(model, name, layer)


def save_adapter(
    model: PreTrainedModel, head: Mapping[str, Tensor], options: LoraOptions, base: str, path: Path
) -> None:
    """Write adapters and a head in peft's format: `adapter_config.json` and its weights.

    Args:
        model: a complete model with adapters in its body.
        head: the weights of the head, by their names in the model.
        options: of the adapters.
        base: the directory or id of the model whose weights are frozen.
        path: the directory to write to.
    """
    from peft import LoraConfig  # noqa: PLC0415  (optional)

    layers = adapted(model)
    task = "TOKEN_CLS" if "TokenClassification" in type(model).__name__ else "SEQ_CLS"
    config = LoraConfig(
        r=options.r,
        lora_alpha=options.alpha,  # type: ignore[arg-type]
        lora_dropout=options.dropout,
        target_modules=sorted(layers),
        modules_to_save=sorted({_module(model, name) for name in head}),
        task_type=task,
        base_model_name_or_path=base,
        inference_mode=True,
        fan_in_fan_out=any(layer.fan_in_fan_out for layer in layers.values()),
    )
    config.save_pretrained(str(path))
    found: dict[str, Tensor] = {
        f"{PREFIX}{name.replace(f'.{ADAPTER}.', '.')}": parameter
        for name, parameter in model.named_parameters()
        if "lora_" in name
    }
    found |= {PREFIX + name: weight for name, weight in head.items()}
    tensors = {name: weight.detach().cpu().contiguous() for name, weight in found.items()}
    save_file(tensors, path / "adapter_model.safetensors", {"format": "pt"})
    complete = deepcopy(model.config)
    complete.architectures = [type(model).__name__]
    complete.dtype = DTYPES[options.base]
    complete.save_pretrained(path / CONFIG)


def load_adapter(directory: Path, auto: Any, config: PretrainedConfig, trusted: bool) -> Any:
    """Return the model that a directory of an adapter stands for, merged, on the CPU in float32.

    Args:
        directory: as `save_adapter` writes it.
        auto: transformers' auto class of the complete model.
        config: of the complete model.
        trusted: whether Python code that comes with the base model may run.

    Raises:
        ConfigError: peft is not installed.
        OSError, ValueError: a file cannot be read, or the base model is not there.
    """
    if find_spec("peft") is None:
        raise ConfigError(
            f"{directory} holds an adapter, which needs the package peft: "
            "pip install 'tartan[peft]'"
        )
    from peft import PeftModel  # noqa: PLC0415  (optional)

    adapter = json.loads((directory / ADAPTER_FILE).read_text(encoding="utf-8"))
    base = auto.from_pretrained(
        adapter["base_model_name_or_path"],
        config=config,
        dtype=config.dtype,  # as the frozen weights were rounded in training
        trust_remote_code=trusted,
        local_files_only=True,
    ).float()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it handles GPT-2's transposed layers
        whole: Any = PeftModel.from_pretrained(base, str(directory))
        return whole.merge_and_unload()


def _module(model: PreTrainedModel, name: str) -> str:
    """Return the part of a head that a weight belongs to: outside the body the outermost one.

    peft adds the usual names of heads, such as `classifier`, and cannot save a part of a part.
    """
    first = name.partition(".")[0]
    return name.rpartition(".")[0] if first == model.base_model_prefix else first


def _put(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module in a place of a model."""
    path, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(path), attribute, module)
