"""Layers whose kernels are launched together: a pass of a body as two CUDA graphs.

A small batch computes for less time than its hundreds of kernels take to launch one by one. A graph
launches all of them at once, but repeats what was recorded: shapes, addresses and constants. So
batches are laid out in few sizes (`Layout`), weights have copies that stay in place (`Bf16Layers`),
and each combination that occurs is recorded when it occurs again. The last layer and what is before
the first stay outside: numbers of wanted tokens vary.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast
from weakref import ReferenceType, ref

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from tartan.body.kernels.layout import Layout
from tartan.body.recorder import Recorder, WaitsError

MOST = 64
"""Combinations that are recorded; others are launched kernel by kernel."""
CONSTANTS = (bool, int, float, str, type(None))
"""Types of arguments that a graph can have fixed."""


@dataclass(frozen=True)
class Call:
    """A layer's call: its place among the layers, its first argument, and the others."""

    place: int
    hidden: Tensor
    others: Any


Compute = Callable[[Call], Any]
"""Computes what a layer returns, kernel by kernel."""


class Weights(Protocol):
    """The tensors that layers compute with, in a fixed order, at addresses that stay."""

    def current(self) -> list[Tensor]:
        """Return those of the current step."""

    def replaced(self, others: Sequence[Tensor]) -> AbstractContextManager[None]:
        """Return a context in which the layers compute with others."""


class LayerGraphs:
    """The layers of a body but the last. Their calls are collected, and computed at the last one.

    A pass is computed kernel by kernel if its combination is new, or if an earlier pass still waits
    for its backward pass, as both would use the same memory.

    Attributes:
        refused: why nothing is recorded; None while something may be.
    """

    def __init__(
        self,
        compute: Compute,
        layers: int,
        weights: "Weights",
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
        self._compute, self._layers, self._weights, self._mode = compute, layers, weights, mode
        self._recorder = recorder
        self._calls: list[Call] = []
        self._tuples: list[bool] = []  # whether each layer returns a tuple, as the first pass shows
        self._before: Tensor | None = None
        self._graphs: dict[Hashable, _Graph | None] = {}  # None: it occurred once
        self._gradients: list[Tensor] = []  # of the weights: all graphs write to the same ones
        self._open: ReferenceType[_Held] | None = None
        self._passes = 0

    @property
    def recorded(self) -> int:
        """How many combinations are recorded."""
        return sum(graph is not None for graph in self._graphs.values())

    def __call__(self, call: Call) -> Any:
        """Return what a layer returns; before the last one, its input in place of the output."""
        if self.refused:
            return self._compute(call)
        if call.place == 0:
            self._calls = []
        self._calls.append(call)
        if [each.place for each in self._calls] != list(range(len(self._calls))):
            return self._refuse("its layers are not called one after the other", call)
        known = len(self._tuples)
        if call.place == known or (call.place == 0 and known < self._layers):
            return self._learn(call)
        if call.hidden is not self._calls[0].hidden:
            raise RuntimeError("hidden states changed between layers: set cuda_graphs=false")
        hidden = call.hidden if len(self._calls) < self._layers else self._pass(self._calls)
        return (hidden,) if self._tuples[call.place] else hidden

    def _learn(self, call: Call) -> Any:
        """Compute a layer of the first pass; each has to read what the one before it returned."""
        if call.place == 0:
            self._tuples = []
        elif call.hidden is not self._before:
            return self._refuse("hidden states change between its layers", call)
        result = self._compute(call)
        self._before = _hidden(result) if call.place + 1 < self._layers else None
        if _hidden(result) is None:
            self.refused = "its layers return more than hidden states"
        self._tuples.append(isinstance(result, tuple))
        return result

    def _refuse(self, reason: str, call: Call) -> Any:
        """Record nothing from now on."""
        self.refused, self._calls = reason, []
        return self._compute(call)

    def _pass(self, calls: Sequence[Call]) -> Tensor:
        """Compute all layers, by a graph if there can be one."""
        given = _Given.of(calls)
        if isinstance(given, str):
            self.refused = given
        if given is None or isinstance(given, str):
            return self._eager(calls)
        key = given.key, self._mode(), torch.is_grad_enabled()
        busy = self._open is not None and self._open() is not None
        if busy or (key not in self._graphs and len(self._graphs) >= MOST):
            return self._eager(calls)
        if key not in self._graphs:
            self._graphs[key] = None
            return self._eager(calls)
        graph = self._graphs[key] or self._record(given, calls)
        if graph is None:
            return self._eager(calls)
        self._graphs[key] = graph
        graph.fill(given)
        if not graph.backward:
            graph.forward()
            return graph.output.detach()
        weights = self._weights.current()
        return cast(Tensor, _Pass.apply(self, graph, given.tensors[0], *weights))  # type: ignore[no-untyped-call]

    def _record(self, given: "_Given", calls: Sequence[Call]) -> "_Graph | None":
        """Record a pass; None, now and from now on, if that is not possible."""
        if not self._gradients:
            weights = _detached(self._weights.current())
            self._gradients = [torch.empty_like(weight) for weight in weights]
        try:
            return _Graph(given, calls, self._eager, self._weights, self._gradients, self._recorder)
        except WaitsError as error:
            self.refused = f"its layers wait for the device: {error}"
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
        """Note a pass whose memory is needed until its backward pass, or until nobody holds it."""
        self._passes += 1
        held = _Held(self._passes)
        self._open = ref(held)
        return held

    def end(self, held: "_Held") -> None:
        """Note a backward pass. RuntimeError if another pass has used the memory meanwhile."""
        if held.number != self._passes:
            raise RuntimeError(
                "a second backward pass through a body, after another pass of it: set "
                "cuda_graphs=false"
            )
        self._open = None


@dataclass(frozen=True, eq=False)
class _Held:
    """A pass, by its number, as long as its autograd graph exists."""

    number: int


@dataclass(frozen=True)
class _Layout:
    """A layout as the variable-length kernel reads it, at addresses that stay."""

    offsets: Tensor
    longest_read: int
    causal: bool
    varlen: bool = True


@dataclass(frozen=True)
class _Given:
    """What a pass is given.

    Attributes:
        tensors: its tensors, each once: hidden states first, and the layout's offsets.
        key: everything else.
    """

    tensors: tuple[Tensor, ...]
    key: Hashable

    @classmethod
    def of(cls, calls: Sequence[Call]) -> "_Given | str | None":
        """Take it from calls.

        Returns:
            None if the layout may have any size; why no graph can repeat the calls, if none can.
        """
        places: dict[int, int] = {}
        tensors: list[Tensor] = []
        key: list[Hashable] = []

        def place(tensor: Tensor) -> Hashable:
            if id(tensor) not in places:
                places[id(tensor)] = len(tensors)
                tensors.append(tensor)
            return places[id(tensor)], tensor.shape, tensor.dtype, tensor.requires_grad

        for leaf in (calls[0].hidden, *tree_leaves([call.others for call in calls])):
            if isinstance(leaf, Tensor):
                key.append(place(leaf))
            elif isinstance(leaf, Layout):
                if not (leaf.varlen and leaf.few_sizes):
                    return None
                key.append((place(leaf.offsets), leaf.longest_read, leaf.causal))
            elif isinstance(leaf, CONSTANTS):
                key.append(leaf)
            else:
                return f"its layers take a {type(leaf).__name__}"
        if any(each.requires_grad for each in tensors[1:]):
            return "its layers take tensors besides hidden states that have gradients"
        return cls(tuple(tensors), tuple(key))


class _Graph:
    """One recorded combination.

    Attributes:
        output: [1, tokens, hidden], what `forward` computes.
        forward: computes the output from what was filled in.
        backward: computes gradients from the output's; None if nothing has one.
    """

    def __init__(
        self,
        given: _Given,
        calls: Sequence[Call],
        compute: Callable[[Sequence[Call]], Tensor],
        weights: Weights,
        gradients: Sequence[Tensor],
        recorder: Recorder,
    ) -> None:
        """Record a combination.

        Args:
            given: what the pass is given.
            calls: the pass.
            compute: computes calls kernel by kernel.
            weights: what the layers compute with.
            gradients: where the weights' gradients are written.
            recorder: makes graphs.
        """
        self._given = tuple(torch.empty_like(each).copy_(each) for each in _detached(given.tensors))
        self._hidden = self._given[0].requires_grad_(given.tensors[0].requires_grad)
        self._calls, self._compute = _moved(calls, given.tensors, self._given), compute
        # Leaves of their own: a gradient that went on to the step's cast would leave the graph.
        self._leaves = [w.detach().requires_grad_(w.requires_grad) for w in weights.current()]
        self._weights, self._gradients = weights, gradients
        self._written: list[bool] = []
        self.backward: Callable[[], None] | None = None
        if torch.is_grad_enabled() and self._trained:
            recorder.warm_up(self._both)
            (self.output,), self.forward = recorder.record(self._forward)
            self._incoming = torch.empty_like(self.output)
            self._outgoing, self.backward = recorder.record(self._backward)
        else:
            recorder.warm_up(self._forward)
            (self.output,), self.forward = recorder.record(self._forward)

    @property
    def _trained(self) -> list[Tensor]:
        """Hidden states and weights that have a gradient."""
        return [each for each in (self._hidden, *self._leaves) if each.requires_grad]

    def fill(self, given: _Given) -> None:
        """Copy what a pass is given to where the graph reads it."""
        torch._foreach_copy_(list(_detached(self._given)), list(_detached(given.tensors)))

    def back(self, gradient: Tensor) -> list[Tensor | None]:
        """Return gradients of hidden states and weights, None where they have none."""
        assert self.backward is not None
        self._incoming.copy_(gradient)
        self.backward()
        hidden = self._outgoing[0].detach() if self._outgoing else None
        pairs = zip(self._gradients, self._written, strict=True)
        return [hidden, *(each.detach() if written else None for each, written in pairs)]

    def _forward(self) -> list[Tensor]:
        """Compute the output, kernel by kernel."""
        with self._weights.replaced(self._leaves):
            self._result = self._compute(self._calls)
        return [self._result.detach()]

    def _backward(self) -> list[Tensor]:
        """Compute gradients: return that of hidden states if they have one, write the others."""
        trained = self._trained
        found = torch.autograd.grad(self._result, trained, self._incoming, allow_unused=True)
        by_tensor = dict(zip(map(id, trained), found, strict=True))
        new = [by_tensor.get(id(leaf)) for leaf in self._leaves]
        self._written = [each is not None for each in new]
        pairs = [(o, n) for o, n in zip(self._gradients, new, strict=True) if n is not None]
        if pairs:
            torch._foreach_copy_([old for old, _ in pairs], [each for _, each in pairs])
        hidden = by_tensor.get(id(self._hidden))
        return [] if hidden is None else [hidden]

    def _both(self) -> None:
        """Compute output and gradients, kernel by kernel."""
        self._incoming = torch.zeros_like(*self._forward())
        self._backward()


def _moved(calls: Sequence[Call], tensors: Sequence[Tensor], kept: Sequence[Tensor]) -> list[Call]:
    """Return calls with other tensors in place of each of their own."""
    own = dict(zip(map(id, tensors), kept, strict=True))

    def moved(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return own[id(leaf)]
        if isinstance(leaf, Layout):
            return _Layout(own[id(leaf.offsets)], leaf.longest_read, leaf.causal)
        return leaf

    return [Call(c.place, kept[0], tree_map(moved, c.others)) for c in calls]


class _Pass(torch.autograd.Function):
    """A pass of the layers by a graph."""

    @staticmethod
    def forward(
        ctx: Any, graphs: LayerGraphs, graph: _Graph, hidden: Tensor, *weights: Tensor
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


def _detached(tensors: Sequence[Tensor]) -> Iterator[Tensor]:
    return (each.detach() for each in tensors)


def _hidden(result: Any) -> Tensor | None:
    """Return the hidden states that a layer returned; None if it returned something else, too."""
    if isinstance(result, tuple):
        result = result[0] if len(result) == 1 else None
    return result if isinstance(result, Tensor) else None
