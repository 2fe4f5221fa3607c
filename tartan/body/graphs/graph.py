"""One recorded combination: a forward pass through layers, and its backward pass."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

from tartan.body.graphs.given import Call, Given, moved_calls
from tartan.body.graphs.recorder import Recorder


class Weights(Protocol):
    """The tensors that layers compute with, in a fixed order, at addresses that stay."""

    def current(self) -> list[Tensor]:
        """Return those of the current step."""

    def replaced(self, others: Sequence[Tensor]) -> AbstractContextManager[None]:
        """Return a context in which the layers compute with others."""


class Graph:
    """One recorded combination.

    Attributes:
        output: [1, tokens, hidden], what `forward` computes.
        forward: computes the output from what was filled in.
        backward: computes gradients from the output's; None if nothing has one.
    """

    def __init__(
        self,
        given: Given,
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
        self._given = tuple(torch.empty_like(each).copy_(each) for each in detached(given.tensors))
        self._hidden = self._given[0].requires_grad_(given.tensors[0].requires_grad)
        self._calls, self._compute = moved_calls(calls, given.tensors, self._given), compute
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

    def fill(self, given: Given) -> None:
        """Copy what a pass is given to where the graph reads it."""
        torch._foreach_copy_(list(detached(self._given)), list(detached(given.tensors)))

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


def detached(tensors: Sequence[Tensor]) -> Iterator[Tensor]:
    """Return tensors of the same memory without gradient."""
    return (each.detach() for each in tensors)
