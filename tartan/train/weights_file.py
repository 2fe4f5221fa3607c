"""Files of a model's weights without those that are frozen, which never change."""

from pathlib import Path

from safetensors.torch import load_file, load_model, save_file, save_model
from torch import nn


def save_trained(model: nn.Module, path: Path) -> None:
    """Write the parameters that train, and all buffers, as safetensors."""
    frozen = _frozen(model)
    if not frozen:
        save_model(model, str(path))
        return
    state = model.state_dict()
    once = dict(model.named_parameters()).keys() | dict(model.named_buffers()).keys()
    kept = (once & state.keys()) - frozen
    save_file({name: state[name].contiguous() for name in sorted(kept)}, path, {"format": "pt"})


def load_trained(model: nn.Module, path: Path) -> None:
    """Load a file of `save_trained` into a model of the same architecture.

    Raises:
        RuntimeError: it is the file of another model.
    """
    frozen = _frozen(model)
    if not frozen:
        load_model(model, str(path))
        return
    found = load_file(path)
    answer = model.load_state_dict(found, strict=False)
    once = dict(model.named_parameters()).keys()
    missing = sorted((set(answer.missing_keys) & once) - frozen)
    for what, names in (("without", missing), ("with unknown", answer.unexpected_keys)):
        if names:
            raise RuntimeError(f"{what} {names[0]}")


def _frozen(model: nn.Module) -> set[str]:
    """Return all names of the parameters that do not train."""
    named = model.named_parameters(remove_duplicate=False)
    return {name for name, parameter in named if not parameter.requires_grad}
