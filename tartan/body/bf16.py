"""Layers that compute in bf16 on copies of their weights, cast once a step and all at once.

Autocast casts weight by weight and computes norms in float32, so that the residual stream between
them is float32 as well: a third of a step's kernel launches are casts. Here the stream is bf16 from
the first layer to the last. Weights, gradients, moments and embeddings stay float32.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from tartan.body.layers import layers_of

BF16 = torch.bfloat16


class Bf16Layers:
    """A model's layers, which compute in bf16 while `step` runs a block.

    Outside of it they compute as before: `parameters`, `state_dict` and evaluation see float32.
    """

    def __init__(self, model: nn.Module) -> None:
        """Wrap the forward functions of a model's layers."""
        layers = layers_of(model)
        self._active = False
        self._places = [
            (module, name, parameter)
            for layer in layers
            for module in layer.modules()
            for name, parameter in module._parameters.items()
            if parameter is not None and parameter.dtype == torch.float32
        ]
        self._weights = list(dict.fromkeys(parameter for _, _, parameter in self._places))
        self._forwards: list[Callable[..., Any]] = [layer.forward for layer in layers]
        for place, layer in enumerate(layers):
            layer.forward = partial(self._forward, place)

    def compile(self, backend: str) -> None:
        """Compile what the layers compute, without the casts before the first and after the last.

        So all layers have the same code.
        """
        self._forwards = [
            torch.compile(forward, dynamic=True, backend=backend) for forward in self._forwards
        ]

    @contextmanager
    def step(self) -> Iterator[None]:
        """Run a block in which weights do not change, and layers compute in bf16."""
        trained = [weight for weight in self._weights if weight.requires_grad]
        frozen = [weight for weight in self._weights if not weight.requires_grad]
        copies = dict(zip(trained, cast(trained), strict=True))
        copies |= zip(frozen, _cast(frozen, BF16), strict=True)  # no gradient is computed for them
        for module, name, parameter in self._places:
            _set(module, name, copies[parameter])
        self._active = True
        try:
            yield
        finally:
            self._active = False
            for module, name, parameter in self._places:
                _set(module, name, parameter)

    def _forward(self, place: int, *args: Any, **options: Any) -> Any:
        """Call a layer's own forward function; hidden states are its first argument."""
        forward = self._forwards[place]
        if not self._active:
            return forward(*args, **options)
        if args:
            args = args[0].to(BF16), *args[1:]
        else:
            options["hidden_states"] = options["hidden_states"].to(BF16)
        with torch.autocast(self._weights[0].device.type, enabled=False):
            result = forward(*args, **options)
        last = place == len(self._forwards) - 1
        return tree_map(_float32, result) if last else result


def cast(weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return copies of float32 tensors in bf16, through which gradients reach them."""
    with torch.enable_grad():  # a first pass without gradient does not take it from later ones
        copies: tuple[Tensor, ...] = _Cast.apply(*weights)  # type: ignore[no-untyped-call]
    return copies


class _Cast(torch.autograd.Function):
    """Casts tensors, and their gradients back, in few launches; it saves nothing."""

    @staticmethod
    def forward(ctx: Any, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        return tuple(_cast(weights, BF16))

    @staticmethod
    def backward(_: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        exact = iter(_cast([grad for grad in grads if grad is not None], torch.float32))
        return tuple(None if grad is None else next(exact) for grad in grads)


def _cast(tensors: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Return copies of tensors in a dtype."""
    copies = [torch.empty_like(tensor, dtype=dtype) for tensor in tensors]
    if copies:
        torch._foreach_copy_(copies, list(tensors))
    return copies


def _set(module: nn.Module, name: str, value: Tensor) -> None:
    """Have a module compute with a tensor in place of a parameter."""
    module._parameters[name] = value  # type: ignore[assignment]


def _float32(value: Any) -> Any:
    """Return a tensor of bf16 in float32, anything else unchanged."""
    return value.float() if isinstance(value, Tensor) and value.dtype == BF16 else value
