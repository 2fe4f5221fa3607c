"""What a pass through layers is given: tensors, which a graph copies, and constants."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from tartan.body.kernels.layout import Layout

CONSTANTS = (bool, int, float, str, type(None))
"""Types of arguments whose values a graph keeps."""


@dataclass(frozen=True)
class Call:
    """A layer's call: its index among the layers, its first argument, and the others."""

    index: int
    hidden: Tensor
    others: Any


@dataclass(frozen=True)
class FixedLayout:
    """A layout as the variable-length kernel reads it, at addresses that stay."""

    offsets: Tensor
    longest_read: int
    causal: bool
    varlen: bool = True


@dataclass(frozen=True)
class Given:
    """What a pass is given.

    Attributes:
        tensors: its tensors, each once: hidden states first, and the layout's offsets.
        key: everything else.
    """

    tensors: tuple[Tensor, ...]
    key: Hashable

    @classmethod
    def of(cls, calls: Sequence[Call]) -> "Given | str | None":
        """Take it from calls.

        Returns:
            None for a layout without `few_sizes`; a str, the reason, if no graph can repeat the
            calls.
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
                return f"the model's layers take an argument of type {type(leaf).__name__}"
        if any(each.requires_grad for each in tensors[1:]):
            return "the model's layers take tensors besides hidden states that have gradients"
        return cls(tuple(tensors), tuple(key))


def moved_calls(
    calls: Sequence[Call], tensors: Sequence[Tensor], kept: Sequence[Tensor]
) -> list[Call]:
    """Return calls with other tensors in place of each of their own."""
    own = dict(zip(map(id, tensors), kept, strict=True))

    def moved(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return own[id(leaf)]
        if isinstance(leaf, Layout):
            return FixedLayout(own[id(leaf.offsets)], leaf.longest_read, leaf.causal)
        return leaf

    return [Call(c.index, kept[0], tree_map(moved, c.others)) for c in calls]
