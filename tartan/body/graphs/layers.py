"""The calls of a pass through layers: collected, and computed at the last one."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, cast
from weakref import ReferenceType, ref

import torch
from torch import Tensor

from tartan.body.graphs.given import Call, Given
from tartan.body.graphs.graph import Graph, Weights, detached
from tartan.body.graphs.recorder import Recorder, WaitsError
from tartan.errors import ModelError

MOST = 64
"""Combinations that are recorded; others are launched kernel by kernel."""

Compute = Callable[[Call], Any]
"""Computes what a layer returns, kernel by kernel."""


class LayerGraphs:
    """The layers of a body but the last. Their calls are collected, and computed at the last one.

    A pass is computed kernel by kernel if its combination is new, or if an earlier pass still waits
    for its backward pass, as both would use the same memory.

    Attributes:
        refused: the reason why nothing is recorded; None while something may be.
        repeated: how many passes were computed by graphs.
    """

    def __init__(
        self,
        compute: Compute,
        layers: int,
        weights: Weights,
        mode: Callable[[], Hashable],
        recorder: Recorder,
    ) -> None:
        """Start with nothing recorded.

        Args:
            compute: computes one of the layers.
            layers: their number.
            weights: what the layers compute with.
            mode: returns what else the layers depend on, such as dropout.
            recorder: makes graphs.
        """
        self.refused: str | None = None
        self.repeated = 0
        self._compute, self._layers, self._weights, self._mode = compute, layers, weights, mode
        self._recorder = recorder
        self._calls: list[Call] = []
        self._tuples: list[bool] = []  # whether each layer returns a tuple, as the first pass shows
        self._before: Tensor | None = None
        self._graphs: dict[Hashable, Graph | None] = {}  # None: it occurred once
        self._gradients: list[Tensor] = []  # of the weights: all graphs write to the same ones
        self._open: ReferenceType[_Held] | None = None

    @property
    def recorded(self) -> int:
        """How many combinations are recorded."""
        return sum(graph is not None for graph in self._graphs.values())

    def begin_step(self) -> None:
        """Note that weights changed: passes of steps before, if they still exist, are void."""
        self._open = None

    def check_complete(self) -> None:
        """Raise ModelError if calls were collected and not computed."""
        if self._calls:
            self._calls = []
            raise ModelError("the model skips layers in training: set cuda_graphs=false")

    def __call__(self, call: Call) -> Any:
        """Return what a layer returns; before the last one, its input in place of the output."""
        if self.refused:
            return self._compute(call)
        known = len(self._tuples)
        if known < self._layers:
            return self._learn(call)
        if call.index == 0:
            self._calls = []
        if call.index != len(self._calls):
            self.check_complete()
        self._calls.append(call)
        if call.hidden is not self._calls[0].hidden:
            raise ModelError("hidden states changed between layers: set cuda_graphs=false")
        hidden = call.hidden
        if len(self._calls) == self._layers:
            calls, self._calls = self._calls, []
            hidden = self._pass(calls)
        return (hidden,) if self._tuples[call.index] else hidden

    def _learn(self, call: Call) -> Any:
        """Compute a layer of the first pass; each has to read what the one before it returned."""
        if call.index == 0:
            self._tuples = []
        elif call.index != len(self._tuples):
            self.refused = "the model's layers are not called one after the other"
        elif call.hidden is not self._before:
            self.refused = "hidden states change between the model's layers"
        result = self._compute(call)
        if _hidden(result) is None:
            self.refused = "the model's layers return more than hidden states"
        self._tuples.append(isinstance(result, tuple))
        self._before = _hidden(result) if len(self._tuples) < self._layers else None
        return result

    def _pass(self, calls: Sequence[Call]) -> Tensor:
        """Compute all layers, by a graph if there can be one."""
        given = Given.of(calls)
        if isinstance(given, str):
            self.refused = given
        if given is None or isinstance(given, str):
            return self._eager(calls)
        key = given.key, self._mode(), torch.is_grad_enabled()
        busy = self._open is not None and self._open() is not None
        if busy:
            return self._eager(calls)
        if key not in self._graphs:
            self._graphs[key] = None
            return self._eager(calls)
        graph = self._graphs[key]
        if graph is None and self.recorded < MOST:
            graph = self._graphs[key] = self._record(given, calls)
        if graph is None:
            return self._eager(calls)
        self.repeated += 1
        graph.fill(given)
        if not graph.backward:
            graph.forward()
            # The last layer's backward pass reads it, perhaps after another pass.
            return graph.output.clone() if torch.is_grad_enabled() else graph.output.detach()
        weights = self._weights.current()
        return cast(Tensor, _Pass.apply(self, graph, given.tensors[0], *weights))  # type: ignore[no-untyped-call]

    def _record(self, given: Given, calls: Sequence[Call]) -> Graph | None:
        """Record a pass; None, now and from now on, if that is not possible."""
        if not self._gradients:
            weights = detached(self._weights.current())
            self._gradients = [torch.empty_like(weight) for weight in weights]
        try:
            return Graph(given, calls, self._eager, self._weights, self._gradients, self._recorder)
        except WaitsError as error:
            self.refused = f"the model's layers wait for the device: {error}"
            return None

    def _eager(self, calls: Sequence[Call]) -> Tensor:
        """Compute all layers, kernel by kernel."""
        hidden = calls[0].hidden
        for call in calls:
            found = _hidden(self._compute(replace(call, hidden=hidden)))
            assert found is not None  # `_learn` has seen that it is not
            hidden = found
        return hidden

    def begin(self) -> "_Held":
        """Note a pass whose memory is needed until its backward pass, or while its graph exists."""
        held = _Held()
        self._open = ref(held)
        return held

    def end(self, held: "_Held") -> None:
        """Note a backward pass. ModelError if its memory may have been used since its pass."""
        if self._open is None or self._open() is not held:
            raise ModelError(
                "a second backward pass through one pass of the body: set cuda_graphs=false"
            )
        self._open = None


class _Held:
    """A pass, as long as its autograd graph exists."""


class _Pass(torch.autograd.Function):
    """A pass of the layers by a graph."""

    @staticmethod
    def forward(
        ctx: Any, graphs: LayerGraphs, graph: Graph, hidden: Tensor, *weights: Tensor
    ) -> Tensor:
        del hidden, weights  # they were filled in, or are in place
        ctx.graphs, ctx.graph, ctx.held = graphs, graph, graphs.begin()
        graph.forward()
        return graph.output.detach()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        ctx.graphs.end(ctx.held)
        return None, None, *ctx.graph.back(gradient)


def _hidden(result: Any) -> Tensor | None:
    """Return the hidden states that a layer returned; None if it returned something else, too."""
    if isinstance(result, tuple):
        result = result[0] if len(result) == 1 else None
    return result if isinstance(result, Tensor) else None
