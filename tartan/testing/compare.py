"""Comparisons of tensors, batches and gradients in contracts."""

import random
from collections.abc import Mapping, Sequence
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor

from tartan.batch import Batch, Row
from tartan.testing.contents import contents
from tartan.testing.contract import require


def tensors(batch: Batch) -> dict[str, Tensor]:
    """Return a batch's tensors by name."""
    return {"input_ids": batch.inputs.input_ids, **batch.targets}


def copies(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies of tensors."""
    return {name: value.clone() for name, value in named.items()}


def changes(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    """Return the names whose tensors differ, or exist on one side only."""
    names = sorted({*before, *after})
    return [
        name
        for name in names
        if not (name in before and name in after and torch.equal(before[name], after[name]))
    ]


def same(one: Batch, other: Batch) -> bool:
    """Return whether two batches are equal."""
    if changes(tensors(one), tensors(other)):
        return False
    return one.token_indices == other.token_indices and (
        (one.inputs.lengths, one.items, one.seed) == (other.inputs.lengths, other.items, other.seed)
    )


def first_difference(one: Sequence[Row], other: Sequence[Row]) -> int | None:
    """Return the number of the first row that differs or that one lacks; None if all are equal."""
    ours, theirs = (list(map(contents, rows)) for rows in (one, other))
    pairs = enumerate(zip_longest(ours, theirs))
    return next((number for number, (left, right) in pairs if left != right), None)


def farthest(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> tuple[str, float]:
    """Return the tensor that differs most, and the difference as a share of the largest entry."""
    largest = max(float(value.abs().max()) for value in one.values())
    apart = {
        name: float((value - other[name].to(value)).abs().max()) / max(largest, 1e-12)
        for name, value in one.items()
    }
    return max(apart.items(), key=lambda pair: (pair[1] != pair[1], pair[1]))


def require_close(
    change: str,
    one: Mapping[str, Tensor],
    other: Mapping[str, Tensor],
    bound: float,
    remedy: str = "",
) -> None:
    """Raise Broken unless two sets of gradients agree, up to a share of their largest entry.

    Args:
        change: how the other gradients were computed.
        one: gradients by parameter.
        other: those they are compared with.
        bound: the share.
        remedy: how to fix it, appended to the message.
    """
    name, distance = farthest(one, other)
    require(
        distance <= bound,
        f"{change}, the gradient of {name} differs by {distance:.1e} of the largest entry; "
        f"rounding explains at most {bound:.0e}{remedy}",
    )


def random_states() -> dict[str, object]:
    """Return the state of every global random generator, by library."""
    return {
        "Python": random.getstate(),
        "NumPy": repr(np.random.get_state()),
        "torch": torch.get_rng_state().tolist(),
    }
