"""How similar vectors are."""

import torch
from torch import Tensor
from torch.nn import functional


def similarities(one: Tensor, other: Tensor) -> Tensor:
    """Return the cosines of vectors [rows, size] with vectors [columns, size].

    Computed in float32 in every precision: cosines near 1, which a body's states often have, are
    the same number in bf16.

    Returns:
        [rows, columns] float32.
    """
    with torch.autocast(one.device.type, enabled=False):
        units = [functional.normalize(vectors.float(), dim=1) for vectors in (one, other)]
        return units[0] @ units[1].T
