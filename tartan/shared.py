"""The parameters that objectives share, and how a gradient on them is begun, taken and given."""

from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from tartan.gradient import Gradient, Lookup, whole, write


class Shared:
    """The parameters that objectives share. Make it once and hand it to every `backward`.

    Attributes:
        parameters: those that train.
        size: how many numbers they hold.
        flat: whether a gradient lies in one buffer, so that one kernel measures it. A CPU is faster
            with the parts that autograd makes: they are neither cleared nor copied.

    Raises:
        ValueError: no parameter, or parameters of several dtypes or devices.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lookup: Lookup | None = None,
        *,
        flat: bool | None = None,
    ) -> None:
        """`lookup`: embeddings that can keep their gradient, for where none lies flat.

        `flat` is True on any device but a CPU, unless given.
        """
        self.parameters = [p for p in parameters if p.requires_grad]
        kinds = {(p.dtype, p.device) for p in self.parameters}
        if len(kinds) != 1:
            raise ValueError(f"shared parameters need one dtype and one device, found {kinds}")
        ((self.dtype, self.device),) = kinds
        self.size = sum(p.numel() for p in self.parameters)
        self.flat = self.device.type != "cpu" if flat is None else flat
        self._lookups = {
            place: lookup
            for place, parameter in enumerate(self.parameters)
            if lookup is not None and parameter is lookup.weight and not self.flat
        }
        self._buffer: Tensor | None = None

    def room(self, *shape: int) -> Tensor:
        """[*shape, size], not cleared: where gradients can lie flat."""
        return torch.empty(*shape, self.size, dtype=self.dtype, device=self.device)

    def nothing(self) -> Gradient:
        """A gradient that is 0."""
        return Gradient([None] if self.flat else [None for _ in self.parameters])

    def begin(self) -> None:
        """A gradient begins, at 0: backward passes add to it."""
        self._forget()
        if self.flat:
            self._buffer = self.room().zero_()
            self.point(self._buffer)
        for lookup in self._lookups.values():
            lookup.begin()

    def take(self) -> Gradient:
        """The gradient since it began, taken away from the parameters."""
        found = [self._buffer] if self.flat else [p.grad for p in self.parameters]
        self._forget()
        gradient = Gradient([*found])
        for place, lookup in self._lookups.items():
            rows, table = lookup.take(), found[place]
            if rows is not None:
                gradient.parts[place] = rows if table is None else rows.add_to(table)
        return gradient

    def give(self, gradient: Gradient) -> None:
        """Make each parameter's `.grad` what a gradient says; it is used up."""
        if self.flat:
            self.point(whole(gradient.parts[0], self.room))
            return
        for parameter, part in zip(self.parameters, gradient.parts, strict=True):
            parameter.grad = whole(part, partial(torch.empty_like, parameter))

    def lay(self, gradient: Gradient, onto: Tensor) -> Tensor:
        """Write a gradient out flat, to [size]."""
        for part, piece in zip(gradient.parts, self._pieces(onto), strict=True):
            write(part, piece)
        return onto

    def point(self, flat: Tensor) -> None:
        """Make every parameter's `.grad` a view of a flat gradient, [size]."""
        for parameter, piece in zip(self.parameters, _split(flat, self.parameters), strict=True):
            parameter.grad = piece

    def _pieces(self, flat: Tensor) -> Sequence[Tensor]:
        """What of [size] is each part's."""
        return [flat] if self.flat else _split(flat, self.parameters)

    def _forget(self) -> None:
        """Take every gradient away."""
        self._buffer = None
        for parameter in self.parameters:
            parameter.grad = None


def _split(flat: Tensor, parameters: Sequence[nn.Parameter]) -> Sequence[Tensor]:
    """A flat tensor as views shaped as parameters."""
    pieces = flat.split([p.numel() for p in parameters])
    return [piece.view(p.shape) for piece, p in zip(pieces, parameters, strict=True)]
