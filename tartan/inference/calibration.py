"""Calibration: how often predictions of some probability are right."""

from collections.abc import Sequence
from dataclasses import dataclass

BINS = 15
"""Bins of equal width, the customary number (Guo et al., ICML 2017)."""


@dataclass(frozen=True)
class Bin:
    """Predictions whose probabilities are alike.

    Attributes:
        low: the probabilities are above this, 0 included in the first bin.
        high: they are at most this.
        count: how many predictions there are, at least one.
        confidence: their mean probability.
        accuracy: the share of them that is right.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """The calibration of a model.

    Attributes:
        ece: the expected calibration error, 0 to 1.
        bins: the bins that hold predictions, in order.
    """

    ece: float
    bins: tuple[Bin, ...]


def calibrate(
    probabilities: Sequence[float], right: Sequence[bool], bins: int = BINS
) -> Calibration:
    """Return the calibration of predictions, with the expected calibration error.

    The error is the mean, over predictions, of the distance between accuracy and mean probability
    in each prediction's bin (Naeini, Cooper, Hauskrecht, AAAI 2015).

    Args:
        probabilities: [predictions], of the predicted label, 0 to 1.
        right: [predictions], whether it is the given label.
        bins: how many bins of equal width.

    >>> calibrate([0.9, 0.9, 0.6, 0.6], [True, True, True, False]).ece
    0.1
    """
    groups: dict[int, list[tuple[float, bool]]] = {}
    for probability, hit in zip(probabilities, right, strict=True):
        place = min(max(-int(-probability * bins // 1) - 1, 0), bins - 1)
        groups.setdefault(place, []).append((probability, hit))
    found = tuple(
        Bin(
            place / bins,
            (place + 1) / bins,
            len(group),
            sum(probability for probability, _ in group) / len(group),
            sum(hit for _, hit in group) / len(group),
        )
        for place, group in sorted(groups.items())
    )
    total = max(len(probabilities), 1)
    error = sum(each.count * abs(each.accuracy - each.confidence) for each in found) / total
    return Calibration(round(error, 12), found)
