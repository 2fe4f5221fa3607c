"""figures/: losses, weights, alignment and dev metrics over steps, as PNG."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

FIGURES: Mapping[str, tuple[str, str]] = {
    "losses": ("train/loss/", "mean loss"),
    "weights": ("train/weight/", "weight"),
    "alignment": ("train/alignment/", "cosine with the dev gradient"),
    "dev": ("eval/", "on dev"),
}
"""Each figure's name: the metrics it shows, by the beginning of their names, and its axis."""


def draw(records: Sequence[Mapping[str, Any]], directory: Path) -> None:
    """Draw every figure for which there are records."""
    directory.mkdir(exist_ok=True)
    for name, (prefix, axis) in FIGURES.items():
        curves = collect(records, prefix)
        if curves:
            _plot(curves, axis, _starts(records)).savefig(directory / f"{name}.png", dpi=120)


def collect(
    records: Sequence[Mapping[str, Any]], prefix: str
) -> dict[str, tuple[list[int], list[float]]]:
    """Steps and values of the metrics whose names begin with a prefix, by the rest of the name."""
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for record in records:
        for key, value in record.items():
            if key.startswith(prefix):
                steps, values = curves.setdefault(key.removeprefix(prefix), ([], []))
                steps.append(record["step"])
                values.append(value)
    return curves


def _starts(records: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The last step before each stage but the first."""
    ends = {record["stage"]: record["step"] for record in records}
    names = list(ends)
    return {name: ends[before] for before, name in pairwise(names)}


def _plot(
    curves: Mapping[str, tuple[list[int], list[float]]], axis: str, stages: Mapping[str, int]
) -> Figure:
    """One set of curves over steps; a dotted line where a stage begins."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, (steps, values) in curves.items():
        axes.plot(steps, values, label=name)
    for name, step in stages.items():
        axes.axvline(step, color="grey", linestyle="dotted")
        axes.annotate(name, (step, 1), xycoords=("data", "axes fraction"), va="top", rotation=90)
    axes.set(xlabel="step", ylabel=axis)
    axes.legend()
    axes.grid(alpha=0.3)
    return figure
