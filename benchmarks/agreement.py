"""Compare the gradients of two sides: only sides that compute the same are timed."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.sides.side import Measured

COSINE = 0.999
"""The least cosine of two gradients that count as the same."""

NORM = 0.02
"""How far the ratio of their norms may be from 1."""

ALIGNMENT = 0.02
"""How far the cosines with the dev gradient may be apart."""


@dataclass(frozen=True)
class Agreement:
    """How close a side's gradient is to its reference's.

    Attributes:
        cosine: of the two, over all of the body's parameters.
        norm: the side's norm over the other's.
        alignment: the largest difference of their cosines with the dev gradient; None without.
    """

    cosine: float
    norm: float
    alignment: float | None = None

    @classmethod
    def of(cls, found: Measured, expected: Measured) -> "Agreement":
        """Compare two gradients. If one side lacks parameters, they do not agree."""
        if found.gradient.keys() != expected.gradient.keys():
            return cls(0.0, 0.0)
        one, other = flat(found.gradient), flat(expected.gradient)
        norms = float(one.norm()), float(other.norm())
        alignment = None
        if found.probed is not None and expected.probed is not None:
            apart = found.probed.alignment - expected.probed.alignment
            alignment = float(apart.abs().max())
        return cls(
            float(one @ other) / max(norms[0] * norms[1], 1e-300),
            norms[0] / max(norms[1], 1e-300),
            alignment,
        )

    @property
    def objection(self) -> str | None:
        """How they differ; None if they agree. NaN does not agree."""
        if not self.cosine >= COSINE:
            return f"another gradient (cosine {self.cosine:.4f}, at least {COSINE} is the same)"
        if not abs(self.norm - 1) <= NORM:
            return f"a gradient {self.norm:.3f} times as long"
        if self.alignment is not None and not self.alignment <= ALIGNMENT:
            return f"cosines with the dev gradient that differ by {self.alignment:.3f}"
        return None


def flat(gradient: Mapping[str, Tensor]) -> Tensor:
    """Return a gradient as [size] float64, its parts in the order of their names."""
    return torch.cat([gradient[name].flatten().double() for name in sorted(gradient)])
