"""A gradient on the shared parameters, laid flat.

Where nothing but looking up has touched a table of embeddings, its gradient is 0 but for the rows
that were read, and a large vocabulary need not be gone through.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

SWEPT = 1 << 20
"""Numbers of a gradient that a CPU measures and adds at a time, so that they stay in its cache."""


class Lookup(Protocol):
    """A table of embeddings that knows which of its rows have a gradient.

    Attributes:
        weight: the table, [rows, width].
    """

    weight: nn.Parameter

    def begin(self) -> None:
        """From now on, remember which rows are read: a gradient begins, at 0."""

    def seen(self) -> Tensor | None:
        """[n] int64, distinct: rows that may differ from 0 since; None for all. Ends it, too."""


@dataclass(frozen=True)
class Table:
    """Where a table lies in a flat gradient.

    Attributes:
        start: its first number.
        rows: how many.
        width: numbers in a row.
    """

    start: int
    rows: int
    width: int

    @property
    def end(self) -> int:
        """The number after its last."""
        return self.start + self.rows * self.width


@dataclass
class Gradient:
    """A flat gradient, and what is known of its table.

    Attributes:
        flat: [size] float.
        table: where in it the table lies; None where there is none.
        rows: [n] int64, distinct: the table's rows that may differ from 0; None for all.
    """

    flat: Tensor
    table: Table | None = None
    rows: Tensor | None = None

    def clear(self) -> None:
        """Set it to 0, for anything to be added to it."""
        if self.rows is None:
            self.flat.zero_()
            return
        for part in self.beside(len(self.flat)):
            part.zero_()
        self.embeddings().index_fill_(0, self.rows, 0)
        self.rows = None

    def embeddings(self) -> Tensor:
        """The table's part, [rows, width]."""
        assert self.table is not None
        return self.flat[self.table.start : self.table.end].view(-1, self.table.width)

    def beside(self, size: int) -> list[Tensor]:
        """What is not of the table, [size] at most each."""
        assert self.table is not None
        before, after = self.flat[: self.table.start], self.flat[self.table.end :]
        return [*before.split(size), *after.split(size)]

    def norm(self) -> Tensor:
        """[] float: its Euclidean norm."""
        parts = [self.flat]
        if self.rows is not None:
            parts = [*self.beside(len(self.flat)), self.embeddings()[self.rows]]
        return _together([torch.linalg.vector_norm(part) for part in parts])


def accumulate(
    gradient: Gradient, weight: Tensor, total: Gradient, dev: Gradient
) -> tuple[Tensor, Tensor]:
    """Add a weighted gradient to the total, or weight it there if it is the total itself.

    Args:
        gradient: of one objective.
        weight: [] float.
        total: of the objectives before; as large, with the same table.
        dev: likewise, of the dev loss.

    Returns:
        [] float each: the gradient's inner product with the dev gradient, and its norm, both before
        it was weighted.
    """
    size = SWEPT if total.flat.device.type == "cpu" else len(total.flat)
    products, norms, first = [], [], gradient is total
    few = gradient.rows is not None
    parts = (each.beside(size) if few else each.flat.split(size) for each in (gradient, total, dev))
    for part, onto, other in zip(*parts, strict=True):
        products.append(torch.dot(other, part))
        norms.append(torch.linalg.vector_norm(part))
        if first:
            onto.mul_(weight)
        else:
            onto.addcmul_(part, weight)
    if gradient.rows is not None:
        rows = gradient.embeddings()[gradient.rows]
        products.append((dev.embeddings()[gradient.rows] * rows).sum())
        norms.append(torch.linalg.vector_norm(rows))
        if first:
            total.embeddings().index_copy_(0, gradient.rows, rows * weight)
        else:
            total.embeddings().index_add_(0, gradient.rows, rows * weight)
    if not first:
        total.rows = _either(total.rows, gradient.rows)
    return torch.stack(products).sum(), _together(norms)


def _together(norms: Sequence[Tensor]) -> Tensor:
    """The norm of parts, whose norms are given, together: []."""
    together: Tensor = torch.linalg.vector_norm(torch.stack(list(norms)))
    return together


def _either(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Rows that are among the one or the other."""
    return None if one is None or other is None else torch.cat([one, other]).unique()
