"""Less memory for more time: activations that are computed again in the backward pass.

Either the layers' own (Chen et al., 2016), or those of all layers for a part of the sequences at a
time (as Gao et al., RepL4NLP 2021, do for contrastive losses). The gradient stays the same, with
dropout too: random states are restored.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from tartan.body.layers import layers_of
from tartan.errors import ModelError, first_line
from tartan.packed import Packed

Read = Callable[[Packed, Tensor | None], Tensor]
"""Computes hidden states [tokens, hidden] from sequences and perhaps their embeddings."""


def checkpoint_layers(model: PreTrainedModel) -> None:
    """Turn on transformers' gradient checkpointing, except in the last layer.

    The backward pass begins with the last layer: its activations would be needed again at once. In
    eval mode, in which the dev gradient is taken, layers are checkpointed too.

    Raises:
        ModelError: the family does not support it.
    """
    # transformers renamed it; the older name warns in newer versions.
    name = "activation_checkpointing_enable"
    enable = getattr(model, name, None) or model.gradient_checkpointing_enable
    try:
        enable({"use_reentrant": False})
    except ValueError as error:
        raise ModelError(
            f"model.gradient_checkpointing=true: {model.config.model_type} does not support it "
            f"({first_line(error)}); lower batch_size or model.max_length instead"
        ) from error
    layers: list[Any] = layers_of(model)
    for layer in layers[:-1]:
        layer.forward = partial(_in_eval_too, layer)
    if layers:
        layers[-1].gradient_checkpointing = False


def _in_eval_too(layer: nn.Module, *args: Any, **options: Any) -> Any:
    """Call a layer's forward function, checkpointed in eval mode where there is a gradient."""
    # Looked up in each call: `fully_shard` gives the layer another class, whose `forward` alone
    # checkpoints.
    forward = partial(type(layer).forward, layer)
    if layer.training or not torch.is_grad_enabled():
        return forward(*args, **options)
    return again_in_mode(layer, partial(forward, **options), *args)


def again_in_mode(module: nn.Module, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function of a module; compute it again in the backward pass, in the same mode.

    The dev gradient's backward pass runs when the body is in training mode again. Random states of
    a GPU are restored if one of the arguments is a tensor on it.
    """
    training = module.training

    @contextmanager
    def same_mode() -> Iterator[None]:
        before = module.training
        module.train(training)
        try:
            yield
        finally:
            module.train(before)

    contexts = lambda: (nullcontext(), same_mode())  # noqa: E731
    return checkpoint(function, *args, use_reentrant=False, context_fn=contexts)


def read_in_parts(
    model: nn.Module, read: Read, packed: Packed, embeddings: Tensor | None, most: int
) -> Tensor:
    """Compute hidden states [tokens, hidden] of parts of the sequences, one after the other.

    Where there is a gradient, the backward pass computes each part again, so that only one part's
    activations are in memory. All tokens are computed, whether they are wanted or not.

    Args:
        model: what computes them.
        read: computes one part.
        packed: the sequences.
        embeddings: [tokens, width] float; None for those of the token ids.
        most: tokens of a part at most; a longer sequence is a part of its own.
    """
    parts = packed.split(most)
    if len(parts) == 1:
        return read(packed, embeddings)
    sizes = [part.input_ids.numel() for part in parts]
    given = [None] * len(parts) if embeddings is None else embeddings.split(sizes)

    def one(_: Tensor, part: Packed, each: Tensor | None) -> Tensor:
        return read(part, each)

    run = partial(again_in_mode, model, one) if torch.is_grad_enabled() else one
    return torch.cat(
        [run(part.input_ids, part, each) for part, each in zip(parts, given, strict=True)]
    )
