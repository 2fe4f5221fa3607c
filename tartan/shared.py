"""The parameters that objectives share, and arithmetic on their gradients."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

Gradient = list[Tensor | None]
"""A tensor for each shared parameter, as autograd computes it: dense, or sparse where a module such
as `nn.Embedding(sparse=True)` makes it so. None where the gradient is 0."""

Pair = tuple[Tensor, Tensor]
"""The parts of two gradients for the same parameter."""

GROUP = 16_000_000
"""Numbers of a gradient that are multiplied at once on a GPU, 64 MB."""


WIDTH = 1 << 16
"""Columns of a part of `products`."""


def products(rows: Tensor, others: Tensor) -> Tensor:
    """Return the inner products of the rows of two tensors, [n, size] and [m, size]: [n, m].

    A few rows of many millions of numbers leave most of a GPU idle, which divides the work of a
    product by its few results: there, the products of parts are computed side by side and added.
    """
    parts = rows.shape[1] // WIDTH
    if rows.device.type != "cuda" or parts < 2:
        return rows @ others.T
    return products_of_parts(rows, others, WIDTH)


def products_of_parts(rows: Tensor, others: Tensor, width: int) -> Tensor:
    """Compute `products` by parts of a number of columns, of which there is at least one."""
    whole = rows.shape[1] // width * width
    one, other = (each[:, :whole].unflatten(1, (-1, width)) for each in (rows, others))
    parts = torch.bmm(one.transpose(0, 1), other.permute(1, 2, 0))
    return parts.sum(0) + rows[:, whole:] @ others[:, whole:].T


class Shared:
    """The parameters that objectives share. Make it once and pass it to every `backward`.

    Those that are trained when it is made: after others are unfrozen, make another.

    >>> shared = Shared(nn.Linear(2, 3).parameters())
    >>> shared.size
    9

    Attributes:
        parameters: those that are trained, each once, also where a tied one was passed twice.
        size: how many numbers they hold.
        dtype: their dtype.
        device: their device.
        watched: the terms whose losses were found to reach no other parameters.

    Raises:
        TypeError: a module, or something else that is not a parameter, was passed.
        ValueError: there is no parameter that is trained, one is computed from others, or they have
            several dtypes or devices.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        if isinstance(parameters, nn.Module):
            raise TypeError("shared parameters: pass module.parameters(), not the module")
        every = list(dict.fromkeys(parameters))
        if wrong := [p for p in every if not isinstance(p, Tensor)]:
            raise TypeError(f"shared parameters: pass module.parameters(), found {wrong[0]!r:.60}")
        self.parameters = [p for p in every if p.requires_grad]
        self.watched: set[object] = set()
        kinds = {(p.dtype, p.device) for p in self.parameters}
        if not kinds:
            raise ValueError("shared parameters: none is trained; requires_grad is False for all")
        for index, parameter in enumerate(self.parameters):
            if not parameter.is_leaf:
                raise ValueError(f"shared parameter {index} was computed: pass the module's own")
        if len(kinds) != 1:
            raise ValueError(f"shared parameters need one dtype and one device, found {kinds}")
        ((self.dtype, self.device),) = kinds
        self.size = sum(p.numel() for p in self.parameters)

    @property
    def owned(self) -> list[nn.Parameter]:
        """The parameters that the optimiser of this process steps: all."""
        return self.parameters

    @property
    def parts(self) -> list[nn.Parameter]:
        """Those of `owned` that are parts of parameters: none."""
        return []

    def covers(self, parameter: nn.Parameter) -> bool:  # noqa: ARG002 - of divided bodies
        """Return whether a parameter that a loss reaches stands for one of a divided body."""
        return False

    @property
    def none(self) -> Gradient:
        """The gradient that is 0."""
        return [None for _ in self.parameters]

    def clear(self) -> None:
        """Drop every parameter's `.grad`."""
        for parameter in self.parameters:
            parameter.grad = None

    def take(self) -> Gradient:
        """Return the parameters' `.grad`, which is undefined afterwards until `give` sets it."""
        grads = [parameter.grad for parameter in self.parameters]
        gradient = [g.coalesce() if g is not None and g.is_sparse else g for g in grads]
        self.clear()
        return gradient

    def give(self, gradient: Gradient) -> None:
        """Set each parameter's `.grad`, dense, from a gradient. The gradient is used up."""
        for parameter, part in zip(self.parameters, gradient, strict=True):
            dense = part is not None and not part.is_sparse
            parameter.grad = part if dense else _write(part, torch.empty_like(parameter))

    def unscaled(self, gradient: Gradient, scale: float) -> Gradient:
        """Return a gradient divided by the scale of its loss. The gradient is used up."""
        dense = [part for part in gradient if part is not None and not part.is_sparse]
        if scale != 1 and dense:
            torch._foreach_div_(dense, scale)
        sparse = scale != 1 and len(dense) < len(gradient)
        return [p / scale if sparse and p is not None and p.is_sparse else p for p in gradient]

    def norm(self, gradient: Gradient) -> Tensor:
        """Return the Euclidean norm of a gradient, [] float."""
        parts = [_values(part) for part in gradient if part is not None]
        return get_total_norm(parts) if parts else self._zero()

    def product(self, one: Gradient, other: Gradient) -> Tensor:
        """Return the inner product of two gradients, [] float."""
        pairs = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
        if not pairs:
            return self._zero()
        return torch.stack([_product(group) for group in self._groups(pairs)]).sum()

    def add(self, total: Gradient, gradient: Gradient, weight: Tensor) -> Gradient:
        """Return a total plus a gradient times a weight, [] float. Both are used up."""
        if self._launches and not any(g is not None and g.is_sparse for g in (*total, *gradient)):
            return _sum_at_once(total, gradient, weight)
        pairs = zip(total, gradient, strict=True)
        return [one if more is None else _sum(one, more, weight) for one, more in pairs]

    def grad_norm(self) -> Tensor:
        """Return the norm of the `.grad` that the optimiser reads, [] float."""
        return get_total_norm([p.grad for p in self.parameters if p.grad is not None])

    def totals(
        self, losses: Tensor, products: Tensor | None = None, norms: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what a step measured, over all processes that share its micro-batches.

        One process has measured everything: its values are returned.

        Args:
            losses: [objectives] float, of the micro-batches of this process.
            products: [...] float, inner products of the parts of gradients that it holds; or none.
            norms: [...] float, Euclidean norms of these parts; or none.
        """
        nothing = losses.new_empty(0)
        return (
            losses,
            nothing if products is None else products,
            nothing if norms is None else norms,
        )

    def complete(
        self,
        private: Sequence[nn.Parameter],  # noqa: ARG002 - of several processes
        sums: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """Complete the `.grad` of parameters that are not shared, and sums of metrics, [] each.

        Both are those of the micro-batches of this process; those of one process are complete.
        """
        return dict(sums)

    def flat(self, *rows: int) -> Tensor:
        """Return an uninitialised tensor [*rows, size] for flat gradients."""
        return torch.empty(*rows, self.size, dtype=self.dtype, device=self.device)

    def flatten(self, gradient: Gradient, out: Tensor) -> Tensor:
        """Write a gradient to a flat tensor, [size], and return that."""
        pieces = self._pieces(out)
        dense = [part for part in gradient if part is not None and not part.is_sparse]
        if self._launches and len(dense) == len(pieces):
            torch._foreach_copy_(pieces, dense)
            return out
        for part, piece in zip(gradient, pieces, strict=True):
            _write(part, piece)
        return out

    def give_flat(self, flat: Tensor) -> None:
        """Set each parameter's `.grad` to its view of a flat gradient, [size]."""
        for parameter, piece in zip(self.parameters, self._pieces(flat), strict=True):
            parameter.grad = piece

    def _pieces(self, flat: Tensor) -> list[Tensor]:
        """Split a flat tensor into views with the shapes of the parameters."""
        pieces = flat.split([p.numel() for p in self.parameters])
        return [piece.view(p.shape) for piece, p in zip(pieces, self.parameters, strict=True)]

    @property
    def _launches(self) -> bool:
        """Whether many small operators take longer than their arithmetic."""
        return self.device.type == "cuda"

    def _groups(self, pairs: Sequence[Pair]) -> list[list[Pair]]:
        """Divide pairs of parts: on a GPU, dense ones of at most `GROUP` numbers go together."""
        groups: list[list[Pair]] = []
        held = GROUP
        for pair in pairs:
            together = self._launches and not (pair[0].is_sparse or pair[1].is_sparse)
            size = pair[0].numel() if together else GROUP
            if held + size > GROUP:
                groups.append([])
                held = 0
            groups[-1].append(pair)
            held += size
        return groups

    def _zero(self) -> Tensor:
        return torch.zeros((), dtype=self.dtype, device=self.device)


def _values(part: Tensor) -> Tensor:
    """Return the numbers of a part that may be other than 0, each once."""
    return part.coalesce().values() if part.is_sparse else part


def _product(pairs: Sequence[Pair]) -> Tensor:
    """Return the sum of the inner products of pairs of parts, [] float.

    One pair needs no memory; several, which are dense, need that of their products twice.
    """
    if len(pairs) > 1:
        products = torch._foreach_mul([a for a, _ in pairs], [b for _, b in pairs])
        return torch.cat([product.flatten() for product in products]).sum()
    ((one, other),) = pairs
    if not (one.is_sparse or other.is_sparse):
        return torch.dot(one.flatten(), other.flatten())
    sparse, factor = (one, other) if one.is_sparse else (other, one)
    return _values(sparse * factor).sum()


def _sum_at_once(total: Gradient, gradient: Gradient, weight: Tensor) -> Gradient:
    """Return a total plus a gradient times a weight, all dense, in few launches."""
    parts = [part for part in gradient if part is not None]
    if parts:
        torch._foreach_mul_(parts, weight)
    pairs = [
        (a, b) for a, b in zip(total, gradient, strict=True) if a is not None and b is not None
    ]
    if pairs:
        torch._foreach_add_([a for a, _ in pairs], [b for _, b in pairs])
    return [b if a is None else a for a, b in zip(total, gradient, strict=True)]


def _sum(total: Tensor | None, part: Tensor, weight: Tensor) -> Tensor:
    """Return a total plus a part times a weight, [] float. Dense tensors are changed in place."""
    if total is not None and not total.is_sparse and not part.is_sparse:
        return total.addcmul_(part, weight)
    part = part * weight if part.is_sparse else part.mul_(weight)
    if total is None:
        return part
    return part.add_(total) if total.is_sparse and not part.is_sparse else total.add_(part)


def _write(part: Tensor | None, out: Tensor) -> Tensor:
    """Write a part to a dense tensor with the shape of its parameter, and return that."""
    if part is None:
        return out.zero_()
    return out.zero_().add_(part) if part.is_sparse else out.copy_(part)
