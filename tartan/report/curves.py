"""The metrics of metrics.jsonl as curves over steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True)
class Curve:
    """One quantity over another.

    Attributes:
        x: ascending, for example steps.
        y: one value for each x.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]


def collect(records: Sequence[Mapping[str, Any]], prefix: str) -> dict[str, Curve]:
    """Return the metrics whose names begin with a prefix, by the rest of the name."""
    points: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        for key, value in record.items():
            if key.startswith(prefix):
                points.setdefault(key.removeprefix(prefix), []).append((record["step"], value))
    return {name: Curve(*zip(*found, strict=True)) for name, found in points.items()}


def starts(records: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the last step before each stage except the first."""
    ends = {record["stage"]: record["step"] for record in records}
    return {name: ends[before] for before, name in pairwise(ends)}
