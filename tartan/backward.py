"""The one primitive: from objectives' losses to a weighted `.grad` and what the weighting needs.

Three ways, by declared need: one weighted sum and one backward; a stream of one gradient at a time
that holds three copies of the shared gradient however many objectives there are; or all gradients
at once for their Gramian. All three leave the same `.grad`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Self

import torch
from torch import Tensor, nn

from tartan.gradient import Gradient, Lookup, Table, accumulate
from tartan.weighting import Needs, Signals, Weighting


@dataclass(frozen=True)
class Term:
    """One objective's loss over a whole effective batch, computed piece by piece.

    Attributes:
        pieces: one callable a micro-batch; each runs its forward pass and returns the *sum* of the
            losses of its items, [] float.
        items: items over all pieces: the mean loss is the pieces' sum divided by it.
        private: parameters that this term trains and that are not shared (its head's).
        retain: keep the graph, since other terms' losses were computed through it.
    """

    pieces: Sequence[Callable[[], Tensor]]
    items: int = 1
    private: Sequence[nn.Parameter] = ()
    retain: bool = False

    @classmethod
    def of(cls, loss: Tensor, private: Iterable[nn.Parameter] = ()) -> Self:
        """A term from a mean loss that is already computed, [] float."""
        return cls([lambda: loss], 1, tuple(private), retain=True)

    @property
    def scale(self) -> float:
        """What turns the pieces' sum into the mean; a batch without items has loss 0."""
        return 1 / max(self.items, 1)


class Shared:
    """The parameters that objectives share, and the flat buffers their gradients live in.

    Make it once and hand it to every `backward`: the buffers are allocated once and kept.

    Attributes:
        buffers: what is kept, by name.

    Raises:
        ValueError: no parameter, or parameters of several dtypes or devices.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lookup: Lookup | None = None) -> None:
        """`lookup`: embeddings whose weight is among the parameters, if it knows its rows."""
        self.parameters = [p for p in parameters if p.requires_grad]
        kinds = {(p.dtype, p.device) for p in self.parameters}
        if len(kinds) != 1:
            raise ValueError(f"shared parameters need one dtype and one device, found {kinds}")
        ((self.dtype, self.device),) = kinds
        self.size = sum(p.numel() for p in self.parameters)
        self.buffers: dict[str, Tensor] = {}
        self._gradients: dict[str, Gradient] = {}
        self._table = None if lookup is None else self._place(lookup.weight)
        self._lookup = None if self._table is None else lookup

    def _place(self, weight: nn.Parameter) -> Table | None:
        """Where a weight lies in a flat gradient; None where it has none."""
        start = 0
        for parameter in self.parameters:
            if parameter is weight:
                return Table(start, *weight.shape)
            start += parameter.numel()
        return None

    def gradient(self, name: str) -> Gradient:
        """A kept gradient, cleared."""
        if name not in self._gradients:
            flat = torch.empty(self.size, dtype=self.dtype, device=self.device)
            self.buffers[name] = flat
            self._gradients[name] = Gradient(flat, self._table)
        self._gradients[name].clear()
        return self._gradients[name]

    def matrix(self, rows: int) -> Tensor:
        """The kept gradients of several terms, [rows, size], cleared."""
        if "gradients" not in self.buffers or len(self.buffers["gradients"]) != rows:
            shape = rows, self.size
            self.buffers["gradients"] = torch.empty(shape, dtype=self.dtype, device=self.device)
        return self.buffers["gradients"].zero_()

    def begin(self) -> None:
        """A term's gradient begins."""
        if self._lookup is not None:
            self._lookup.begin()

    def seen(self) -> Tensor | None:
        """Rows of the table that the gradient since may have; None for all: see `Lookup`."""
        return None if self._lookup is None else self._lookup.seen()

    def point(self, flat: Tensor) -> None:
        """Make every parameter's `.grad` a view of a flat buffer, [size]."""
        pieces = flat.split([p.numel() for p in self.parameters])
        for parameter, piece in zip(self.parameters, pieces, strict=True):
            parameter.grad = piece.view_as(parameter)


def backward(
    terms: Sequence[Term],
    weighting: Weighting,
    shared: Shared,
    *,
    dev: Term | None = None,
    needs: Needs | None = None,
) -> Signals:
    """Set `.grad` to the weighted sum of the terms' gradients; measure what the weighting needs.

    Gradients are set, not added to: the whole effective batch goes through one call, so that inner
    products are those of the whole batch. Afterwards every shared parameter has a `.grad`.

    Args:
        terms: one for each objective, the primary first.
        weighting: gives the weights.
        shared: the parameters whose gradients are measured.
        dev: the dev loss; needed where DEV is measured. Its gradient stays out of `.grad`.
        needs: what to measure; `weighting.needs` unless given.

    Returns:
        Signals on the shared parameters' device; nothing here waits for the device.

    Raises:
        ValueError: DEV is needed and `dev` is missing.
    """
    needs = weighting.needs if needs is None else needs
    if Needs.DEV in needs and dev is None:
        raise ValueError("the weighting needs the dev gradient: pass dev=Term(...)")
    _clear(terms)
    dev = dev if Needs.DEV in needs else None
    if Needs.GRADIENTS in needs:
        return _gramian(terms, weighting, shared, dev)
    if dev is not None:
        return _stream(terms, weighting, shared, dev)
    return _sum(terms, weighting, shared)


def _sum(terms: Sequence[Term], weighting: Weighting, shared: Shared) -> Signals:
    """One weighted sum and one backward for each micro-batch."""
    weights = weighting.weights().to(shared.device)
    losses = [torch.zeros((), device=shared.device) for _ in terms]
    shared.point(shared.gradient("total").flat)
    for micro in zip_longest(*(term.pieces for term in terms)):
        total = torch.zeros((), device=shared.device)
        for index, piece in enumerate(micro):
            if piece is not None:  # a term with fewer micro-batches than another
                value = piece() * terms[index].scale
                losses[index] += value.detach()
                total = total + weights[index] * value
        total.backward()
    return Signals(torch.stack(losses), weights)


def _stream(terms: Sequence[Term], weighting: Weighting, shared: Shared, dev: Term) -> Signals:
    """One gradient at a time: dev gradient, accumulator and scratch are all that is held."""
    weights = weighting.weights().to(shared.device)
    dev_gradient = _dev_gradient(dev, terms, shared)
    total = shared.gradient("total")
    losses, products, norms, heads = [], [], [], []
    for index, (term, weight) in enumerate(zip(terms, weights, strict=True)):
        # The first is weighted where it lies.
        gradient = shared.gradient("scratch") if index else total
        losses.append(_gradient(term, shared, gradient))
        product, norm = accumulate(gradient, weight, total, dev_gradient)
        products.append(product)
        norms.append(norm)
        heads.append(_take(term))
    _give(terms, heads, weights)
    shared.point(total.flat)
    return Signals(
        torch.stack(losses),
        weights,
        norms=torch.stack(norms),
        dev=torch.stack(products),
        dev_norm=dev_gradient.norm(),
    )


def _gramian(
    terms: Sequence[Term], weighting: Weighting, shared: Shared, dev: Term | None
) -> Signals:
    """All gradients at once, [objectives, size], so that weights may come from their Gramian."""
    dev_gradient = None if dev is None else _dev_gradient(dev, terms, shared)
    gradients = shared.matrix(len(terms))
    losses, heads = [], []
    for term, row in zip(terms, gradients, strict=True):
        losses.append(_gradient(term, shared, Gradient(row)))
        heads.append(_take(term))
    gramian = gradients @ gradients.T
    signals = Signals(
        torch.stack(losses),
        weighting.weights().to(shared.device),
        norms=gramian.diagonal().sqrt(),
        gramian=gramian,
        dev=None if dev_gradient is None else gradients @ dev_gradient.flat,
        dev_norm=None if dev_gradient is None else dev_gradient.norm(),
    )
    weights = weighting.combine(signals).to(shared.device)
    _give(terms, heads, weights)
    shared.point(torch.mv(gradients.T, weights, out=shared.gradient("total").flat))
    return replace(signals, weights=weights)


def _dev_gradient(dev: Term, terms: Sequence[Term], shared: Shared) -> Gradient:
    """The dev gradient. A dev loss may run through heads that train: theirs is dropped."""
    gradient = shared.gradient("dev")
    _gradient(dev, shared, gradient)
    _clear(terms)
    return gradient


def _gradient(term: Term, shared: Shared, gradient: Gradient) -> Tensor:
    """A term's mean loss, []; its gradient on the shared parameters is added to a cleared one."""
    shared.point(gradient.flat)
    shared.begin()
    loss = torch.zeros((), device=shared.device)
    for piece in term.pieces:
        value = piece() * term.scale
        value.backward(retain_graph=term.retain)
        loss += value.detach()
    gradient.rows = shared.seen()
    return loss


def _clear(terms: Sequence[Term]) -> None:
    """Drop the terms' private gradients."""
    for term in terms:
        for parameter in term.private:
            parameter.grad = None


def _take(term: Term) -> list[Tensor | None]:
    """Take a term's private gradients away, so that the next term starts with none."""
    taken = [parameter.grad for parameter in term.private]
    for parameter in term.private:
        parameter.grad = None
    return taken


def _give(terms: Sequence[Term], heads: Sequence[Sequence[Tensor | None]], weights: Tensor) -> None:
    """Give private gradients back, weighted; a parameter private to two terms gets the sum."""
    for term, gradients, weight in zip(terms, heads, weights, strict=True):
        for parameter, gradient in zip(term.private, gradients, strict=True):
            if gradient is not None:
                weighted = gradient * weight
                parameter.grad = weighted if parameter.grad is None else parameter.grad + weighted
