"""The data types that objectives and the core exchange: rows, batches and losses."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Self

import torch
from torch import Tensor

from tartan.packed import Packed

Row = Mapping[str, Any]
"""One tokenised example: `input_ids` (list of int); `token_type_ids` (list of int) for a pair of
texts, if the body embeds segments; `chunks` (list of int), the tokens of each sequence, if a long
text is several; `label` if the row is labelled, see `LabelKind`."""


class LabelKind(Enum):
    """The type of a labelled row's `label`."""

    CLASS = "classes"
    """int, the id of a class."""
    NUMBER = "numbers"
    """float."""
    SETS = "sets"
    """list of int, the ids of all labels of the row, each once, ascending; it may be empty."""
    TAGS = "tags"
    """list of int, the id of each word's tag. The row's `word_starts` (list of int) are the indices
    of these words' first tokens. Words that truncation left without a token are in neither list."""


@dataclass(frozen=True)
class Batch:
    """The input of one objective for one micro-batch.

    Attributes:
        inputs: the sequences. Set `wanted` if the loss reads only some of the hidden states.
        items: the number of items that the loss sums over. It is known before the loss is computed,
            so that the micro-batches of an accumulated step add up to the mean of the whole batch.
        targets: tensors that the loss needs, by name. Batches are concatenated along the first
            dimension of their targets (tokens, sequences or items); targets without a dimension
            are sums and are added.
        seed: seed for random choices on the device, in `prepare`; sampled in `collate`.
        token_indices: the names of those targets that are indices of tokens of `inputs`, int64.
            When batches are concatenated, these are shifted by the tokens before them.

    Raises:
        ValueError: if `token_indices` names a target that does not exist or is not int64.
    """

    inputs: Packed
    items: int
    targets: Mapping[str, Tensor] = field(default_factory=dict)
    seed: int = 0
    token_indices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.token_indices:
            target = self.targets.get(name)
            if target is None or target.dtype != torch.int64:
                found = "missing" if target is None else str(target.dtype)
                raise ValueError(
                    f"token_indices names the target '{name}', which is {found}: "
                    "name targets of dtype torch.int64"
                )

    def pin(self) -> Self:
        """Return the same batch in pinned memory, which is copied to a device asynchronously."""
        targets = {name: value.pin_memory() for name, value in self.targets.items()}
        return replace(self, inputs=self.inputs.pin(), targets=targets)

    def to(self, device: torch.device) -> Self:
        """Return the same batch on a device."""
        queued = device.type == "cuda"  # later kernels on the device wait for the copy
        targets = {
            name: value.to(device, non_blocking=queued) for name, value in self.targets.items()
        }
        return replace(self, inputs=self.inputs.to(device), targets=targets)


@dataclass(frozen=True)
class Loss:
    """A loss summed over a batch's items.

    Attributes:
        total: [] float, the sum (not the mean) over `batch.items` items.
        metrics: further sums over the same items, [] each, logged as means; they carry no gradient.
    """

    total: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)
