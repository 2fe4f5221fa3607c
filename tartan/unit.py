"""The unit of labels that are numbers: their mean and spread in the training split.

A network learns a number well where it is near 0 and varies by about 1. Labels are standardised
for training, and outputs converted back to the labels' own unit where they are reported. The model
that is exported has mean and scale folded into its last layer.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from torch import Tensor

from tartan.errors import DataError

RESOLUTION = 1e-6
"""The least spread of labels, as a share of their size, that float32 outputs resolve well."""

SMALLEST = 1e-30
"""The least spread of labels that float32 weights and outputs hold with all their digits."""


@dataclass(frozen=True)
class Unit:
    """An affine unit: a standardised number times `scale` plus `mean` is a label.

    Attributes:
        mean: of the training labels.
        scale: their standard deviation, 1 where they do not vary. Its sign is chosen so that
            training is the same for labels that are multiplied by a negative number.
    """

    mean: float
    scale: float

    @classmethod
    def of(cls, labels: Iterable[float]) -> Self:
        """Compute the unit of training labels, of which there is at least one.

        Raises:
            DataError: when their spread is too small for float32.
        """
        values = np.fromiter(labels, dtype=np.float64)
        low, high = float(values.min()), float(values.max())
        if low == high:  # a computed deviation might not be exactly 0
            return cls(low, 1.0)
        mean, scale = float(values.mean()), float(values.std())
        if scale < max(SMALLEST, RESOLUTION * abs(mean)):
            raise DataError(
                f"the labels of train have mean {mean:.9g} and standard deviation {scale:.3g}, "
                "which float32 outputs cannot resolve: subtract an offset from all labels, or "
                "multiply them by a larger unit"
            )
        deviations = (values - mean) / scale
        first = deviations[np.abs(deviations) > 0.5][0]  # some deviate by 1 or more
        return cls(mean, float(np.copysign(scale, first)))

    @property
    def uncentred(self) -> "Unit":
        """The unit for outputs that cannot be shifted: its scale is the labels' root mean square.

        Standardised labels then vary around another number than 0, and are near 1.
        """
        return Unit(0.0, math.copysign(math.hypot(self.mean, self.scale), self.scale))

    def standardise(self, label: float) -> float:
        """Convert a label to its standardised number."""
        return (label - self.mean) / self.scale

    def restore(self, outputs: Tensor) -> Tensor:
        """Convert standardised outputs [...] float to the labels' unit."""
        return outputs * self.scale + self.mean
