"""Layers that compute in bf16 on copies of their weights, cast once a step and all at once.

Autocast casts weight by weight and computes norms in float32, so that the residual stream between
them is float32 as well: a third of a step's kernel launches are casts. Here the stream is bf16 from
the first layer to the last. Weights, gradients, moments and embeddings stay float32.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from tartan.body.graphs import Call, LayerGraphs, Recorder
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
        # Copies stay in place: a graph reads them where they were when it was recorded.
        self._copies = [torch.empty_like(weight, dtype=BF16) for weight in self._weights]
        self._graphs: LayerGraphs | None = None
        self._layers = layers
        self._forwards: list[Callable[..., Any]] = [layer.forward for layer in layers]
        for index, layer in enumerate(layers):
            layer.forward = partial(self._forward, index)

    def compile(self, backend: str) -> None:
        """Compile what the layers compute, without the casts before the first and after the last.

        So all layers have the same code.
        """
        self._forwards = [
            torch.compile(forward, dynamic=True, backend=backend) for forward in self._forwards
        ]

    def __getstate__(self) -> dict[str, Any]:
        """Return all but graphs: a copy has none."""
        return {**self.__dict__, "_graphs": None}

    @property
    def active(self) -> bool:
        """Whether `step` runs a block."""
        return self._active

    @property
    def addresses_stay(self) -> bool:
        """Whether everything that layers compute with stays where it is, between steps too."""
        copied = set(self._weights)
        every = {weight for layer in self._layers for weight in layer.parameters()}
        return copied == every

    @contextmanager
    def one_by_one(self) -> Iterator[None]:
        """Run a block in which kernels are launched one by one."""
        graphs, self._graphs = self._graphs, None
        try:
            yield
        finally:
            self._graphs = graphs

    @property
    def not_recorded_because(self) -> str | None:
        """The reason why graphs cannot be used; None if they are used."""
        if self._graphs is None or self._graphs.recorded:
            return None
        return self._graphs.refused or "passes of the model do not recur"

    def use_graphs(self, recorder: Recorder | None) -> None:
        """Launch the kernels of all layers but the last together; one by one without a recorder."""
        self._graphs = None if recorder is None else self._with(recorder)

    def _with(self, recorder: Recorder) -> LayerGraphs:
        """Return graphs of all layers but the last."""
        *layers, _ = self._layers
        modules = {module for layer in layers for module in layer.modules()}
        places = [(module, name) for module, name, _ in self._places if module in modules]
        numbers = [
            (module, name)
            for module in modules
            for name, value in vars(module).items()
            if isinstance(value, float)  # rates of dropout above all
        ]

        def mode() -> Hashable:
            trained = tuple(weight.requires_grad for weight in self._weights)
            training = self._layers[0].training
            return trained, training, tuple(getattr(*each) for each in numbers) if training else ()

        return LayerGraphs(self._compute, len(layers), _Places(places), mode, recorder)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Run a block in which weights do not change, and layers compute in bf16."""
        if self._graphs is not None:
            self._graphs.begin_step()
        pairs = list(zip(self._weights, self._copies, strict=True))
        trained = [pair for pair in pairs if pair[0].requires_grad]
        frozen = [pair for pair in pairs if not pair[0].requires_grad]
        _copy(frozen)  # no gradient is computed for them
        copies = cast(trained)
        copies.update(frozen)
        for module, name, parameter in self._places:
            _set(module, name, copies[parameter])
        self._active = True
        try:
            yield
        finally:
            self._active = False
            for module, name, parameter in self._places:
                _set(module, name, parameter)

    def _forward(self, index: int, *args: Any, **options: Any) -> Any:
        """Call a layer's own forward function; hidden states are its first argument."""
        if not self._active:
            return self._forwards[index](*args, **options)
        hidden, *others = args or (options.pop("hidden_states"),)
        call = Call(index, hidden.to(BF16), (others, options))
        if index == len(self._forwards) - 1:
            if self._graphs is not None:
                self._graphs.check_complete()
            return tree_map(_float32, self._compute(call))
        return self._compute(call) if self._graphs is None else self._graphs(call)

    def _compute(self, call: Call) -> Any:
        """Compute a layer in bf16."""
        args, options = call.others
        with torch.autocast(self._weights[0].device.type, enabled=False):
            return self._forwards[call.index](call.hidden, *args, **options)


class _Places:
    """The weights at places of modules: a `tartan.body.graphs.graph.Weights`."""

    def __init__(self, places: Sequence[tuple[nn.Module, str]]) -> None:
        self._places = places

    def current(self) -> list[Tensor]:
        """Return the weights, each once."""
        return list(dict.fromkeys(self._all()))

    @contextmanager
    def replaced(self, others: Sequence[Tensor]) -> Iterator[None]:
        """Replace the weights within a block."""
        before = self._all()
        other = dict(zip(dict.fromkeys(before), others, strict=True))
        self._set([other[weight] for weight in before])
        try:
            yield
        finally:
            self._set(before)

    def _all(self) -> list[Tensor]:
        """Return the weight at each place."""
        found = [module._parameters[name] for module, name in self._places]
        return [each for each in found if each is not None]

    def _set(self, weights: Sequence[Tensor]) -> None:
        """Set the weight at each place."""
        for (module, name), weight in zip(self._places, weights, strict=True):
            _set(module, name, weight)


def cast(pairs: Sequence[tuple[Tensor, Tensor]]) -> dict[Tensor, Tensor]:
    """Copy float32 tensors to tensors of bf16.

    Returns:
        By float32 tensor, its copy, through which gradients reach it.
    """
    weights = [weight for weight, _ in pairs]
    with torch.enable_grad():  # a first pass without gradient does not take it from later ones
        made = _Cast.apply([copy for _, copy in pairs], *weights)  # type: ignore[no-untyped-call]
    return dict(zip(weights, made, strict=True))


def _copy(pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Copy tensors to others."""
    if pairs:
        torch._foreach_copy_([copy for _, copy in pairs], [weight.detach() for weight, _ in pairs])


class _Cast(torch.autograd.Function):
    """Copies tensors, and casts their gradients back, in few launches; it saves nothing."""

    @staticmethod
    def forward(ctx: Any, copies: Sequence[Tensor], *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        _copy(list(zip(weights, copies, strict=True)))
        return tuple(copy.detach() for copy in copies)  # new ones: they get a gradient function

    @staticmethod
    def backward(_: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        given = [grad for grad in grads if grad is not None]
        exact = [torch.empty_like(grad, dtype=torch.float32) for grad in given]
        _copy(list(zip(given, exact, strict=True)))
        found = iter(exact)
        return None, *(None if grad is None else next(found) for grad in grads)


def _set(module: nn.Module, name: str, value: Tensor) -> None:
    """Have a module compute with a tensor in place of a parameter."""
    module._parameters[name] = value  # type: ignore[assignment]


def _float32(value: Any) -> Any:
    """Return a tensor of bf16 in float32, anything else unchanged."""
    return value.float() if isinstance(value, Tensor) and value.dtype == BF16 else value
