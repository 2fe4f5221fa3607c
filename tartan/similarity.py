"""How similar vectors are."""

import torch
from torch import Tensor
from torch.nn import functional


def similarities(one: Tensor, other: Tensor | None = None) -> Tensor:
    """Return the cosines of vectors [rows, size] with vectors [columns, size], or with each other.

    Computed in float32 in every precision: cosines near 1, which a body's states often have, are
    the same number in bf16.

    Returns:
        [rows, columns] float32.
    """
    with torch.autocast(one.device.type, enabled=False):
        unit = functional.normalize(one.float(), dim=1)
        columns = unit if other is None else functional.normalize(other.float(), dim=1)
        return unit @ columns.T
