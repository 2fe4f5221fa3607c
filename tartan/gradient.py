"""A gradient on the shared parameters, a part for each, as autograd hands them over.

Where nothing but looking up has touched a table of embeddings, its part is the rows that were read
alone, and a large vocabulary need not be gone through.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Rows:
    """A table of which all rows but some are 0.

    Attributes:
        index: [n] int64, which rows those are: distinct, in ascending order.
        values: [n, width] float, what stands in them.
    """

    index: Tensor
    values: Tensor

    @classmethod
    def of(cls, index: Tensor, values: Tensor) -> Self:
        """Rows [n, width], each for the row that [n] int64 names; those for the same add up."""
        distinct, places = index.unique(return_inverse=True)
        summed = values.new_zeros(len(distinct), values.shape[1])
        return cls(distinct, summed.index_add_(0, places, values))

    def at(self, index: Tensor) -> Tensor:
        """What stands in some rows, [n] int64, of the table: [n, width]."""
        if not len(self.index):
            return self.values.new_zeros(len(index), self.values.shape[1])
        places = torch.searchsorted(self.index, index).clamp(max=len(self.index) - 1)
        return self.values[places].where((self.index[places] == index)[:, None], 0)

    def times(self, weight: Tensor) -> Self:
        """The table times a weight, [] float."""
        return type(self)(self.index, self.values * weight)

    def plus(self, other: Self) -> Self:
        """The sum of both tables."""
        index = torch.cat([self.index, other.index])
        return self.of(index, torch.cat([self.values, other.values]))

    def add_to(self, table: Tensor) -> Tensor:
        """Add it to a whole table, [rows, width]; that is returned."""
        return table.index_add_(0, self.index, self.values)


class Lookup(Protocol):
    """A table of embeddings that keeps the gradient of rows that are read, where it is told to.

    Attributes:
        weight: the table, [rows, width].
    """

    weight: nn.Parameter

    def begin(self) -> None:
        """Keep the gradient of rows that are read from now on; autograd does not see it."""

    def take(self) -> Rows | None:
        """What was kept since; None if nothing was. Nothing is kept after."""


Part = Tensor | Rows
"""A parameter's gradient, shaped as the parameter; of a table, perhaps some rows alone."""


@dataclass
class Gradient:
    """A gradient on some parameters.

    Attributes:
        parts: one for each parameter, or one flat part for all; None where the gradient is 0.
    """

    parts: list[Part | None]

    def norm(self) -> Tensor:
        """[] float: its Euclidean norm."""
        return _together(_norm(part) for part in self.parts if part is not None)


def accumulate(
    gradient: Gradient, weight: Tensor, total: Gradient, dev: Gradient
) -> tuple[Tensor, Tensor]:
    """Add a weighted gradient to the total. It is used up: the total may go on in its place.

    Each part is measured and added at once, while it is in a CPU's cache.

    Args:
        gradient: of one objective.
        weight: [] float.
        total: of the objectives before; changed.
        dev: of the dev loss.

    Returns:
        [] float each: the gradient's inner product with the dev gradient, and its norm, both before
        it was weighted.
    """
    products, norms = [torch.zeros_like(weight)], [torch.zeros_like(weight)]
    for place, (part, other) in enumerate(zip(gradient.parts, dev.parts, strict=True)):
        if part is None:
            continue
        if other is not None:
            products.append(_product(part, other))
        norms.append(_norm(part))
        total.parts[place] = _plus(total.parts[place], part, weight)
    return torch.stack(products).sum(), _together(norms)


def whole(part: Part | None, room: Callable[[], Tensor]) -> Tensor:
    """A part as a tensor: itself, or written to what `room` makes, shaped as its parameter."""
    return part if isinstance(part, Tensor) else write(part, room())


def write(part: Part | None, onto: Tensor) -> Tensor:
    """Write a part out whole, to a tensor shaped as its parameter; that is returned."""
    if isinstance(part, Tensor):
        return onto.copy_(part)
    onto.zero_()
    return onto if part is None else part.add_to(onto)


def _plus(part: Part | None, more: Part, weight: Tensor) -> Part:
    """A part, and more times a weight, [] float; a tensor among them is changed, and the sum."""
    if isinstance(more, Rows):
        more = more.times(weight)
        if isinstance(part, Tensor):
            return more.add_to(part)
        return more if part is None else more.plus(part)
    if isinstance(part, Tensor):
        return part.addcmul_(more, weight)
    more = more.mul_(weight)
    return more if part is None else part.add_to(more)


def _product(one: Part, other: Part) -> Tensor:
    """[] float: the inner product of two parts for the same parameter."""
    if isinstance(one, Rows):
        met = other.at(one.index) if isinstance(other, Rows) else other[one.index]
        return (one.values * met).sum()
    if isinstance(other, Rows):
        return _product(other, one)
    return torch.dot(one.flatten(), other.flatten())


def _norm(part: Part) -> Tensor:
    """[] float: a part's Euclidean norm."""
    norm: Tensor = torch.linalg.vector_norm(part.values if isinstance(part, Rows) else part)
    return norm


def _together(norms: Iterable[Tensor]) -> Tensor:
    """The norm of parts, whose norms are given, together: []."""
    together: Tensor = torch.linalg.vector_norm(torch.stack(list(norms)))
    return together
