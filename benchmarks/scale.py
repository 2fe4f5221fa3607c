"""`python -m benchmarks.scale`: the cost of a step as one dimension grows."""

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.experiment import with_model
from benchmarks.models import SIZES
from benchmarks.origin import origin
from benchmarks.report import group_report
from benchmarks.rounds import Group, measure
from benchmarks.setting import Setting, count
from benchmarks.tables import scale_page
from tartan.errors import ConfigError, TartanError, suggest
from tartan.train.memory import keep_freed_memory
from tartan.train.runtime import PRECISIONS

BASE = Setting(model="small", batch=16, length=64, objectives=2)
"""The setting of the other dimensions."""

GRID: Mapping[str, tuple[int | str, ...]] = MappingProxyType(
    {
        "objectives": (1, 2, 4, 8, 16),
        "batch": (4, 8, 16, 32, 64),
        "length": (16, 32, 64, 128, 256),
        "model": ("tiny", "mini", "small", "medium"),
    }
)
"""What grows: the number of objectives, rows of each, tokens of each row, the body."""

SPECIAL_TOKENS = 2
"""Of every row: one before its text, one after it."""


@dataclass(frozen=True)
class Point:
    """A setting, and the dimension in which it differs from the base.

    Attributes:
        axis: a field of `Setting`.
        value: its value here.
        setting: all of them.
    """

    axis: str
    value: int | str
    setting: Setting

    @property
    def sides(self) -> tuple[str, ...]:
        """Static and meta; also the Gramian if the number of objectives grows."""
        gramian = ("tartan-gramian",) if self.axis == "objectives" else ()
        return ("tartan-static-n", "tartan-meta-n", *gramian)


def points(base: Setting, grid: Mapping[str, Sequence[int | str]]) -> Iterator[Point]:
    """Yield every setting of a grid. The demo's texts are as long as `length` allows."""
    for axis, values in grid.items():
        for value in values:
            setting = changed(base, axis, value)
            words = max(1, setting.length - SPECIAL_TOKENS)
            yield Point(axis, value, replace(setting, words=words))


def changed(setting: Setting, axis: str, value: int | str) -> Setting:
    """Return a setting with another value on one axis."""
    values: dict[str, Any] = {axis: value}
    return replace(setting, **values)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; return 2 if something was refused."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(given)
    if options.in_process:
        keep_freed_memory()  # as `python -m tartan run` does
    command = shlex.join(["python", "-m", "benchmarks.scale", *given])
    try:
        return run(command, options)
    except TartanError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description="Time tartan's step as one dimension grows: random weights, "
        "rows of one length.",
    )
    for axis, values in GRID.items():
        made.add_argument(
            f"--{axis}", nargs="*", default=values, type=str if axis == "model" else count,
            help=f"instead of {' '.join(map(str, values))}; no value skips it",
        )  # fmt: skip
    made.add_argument(
        "--base", nargs="*", default=(), metavar="NAME=VALUE",
        help="what stays: " + " ".join(f"{axis}={getattr(BASE, axis)}" for axis in GRID),
    )  # fmt: skip
    made.add_argument("--device", default=BASE.device)
    made.add_argument("--precision", choices=PRECISIONS, default=BASE.precision)
    made.add_argument("--rounds", type=count, default=3)
    made.add_argument(
        "--in-process", action="store_true", help="all in this process; memory is not measured"
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    return made


def run(command: str, options: argparse.Namespace) -> int:
    """Measure what the options select. TartanError if it cannot be measured."""
    started = datetime.now(UTC)
    base = replace(_base(options.base), device=options.device, precision=options.precision)
    chosen = list(points(base, {axis: getattr(options, axis) for axis in GRID}))
    for point in chosen:
        if point.setting.model not in SIZES:
            raise ConfigError(f"--model {point.value}: {suggest(str(point.value), SIZES)}")
    groups: dict[tuple[Setting, tuple[str, ...]], Group] = {}
    for number, point in enumerate(chosen, start=1):
        _say(f"{point.axis}={point.value}, {number} of {len(chosen)}")
        key = point.setting, point.sides
        if key not in groups:
            with with_model(point.setting) as made:
                groups[key] = measure(
                    made, point.sides, rounds=options.rounds, separate=not options.in_process,
                    say=_say,
                )  # fmt: skip
    results = [result for group in groups.values() for result in group.results.values()]
    found: dict[str, Any] = {
        **origin(command, results, started),
        "base": base.as_dict(),
        "points": [
            {
                "axis": point.axis,
                "value": point.value,
                **group_report(groups[point.setting, point.sides]),
            }
            for point in chosen
        ],
    }
    print(scale_page(found))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 2 if any(group.refused for group in groups.values()) else 0


def _base(given: Sequence[str]) -> Setting:
    """Return the base with the changes of the command line."""
    base = BASE
    for text in given:
        name, _, value = text.partition("=")
        if name not in GRID:
            raise ConfigError(f"--base {text}: {suggest(name, GRID)}")
        if name != "model" and not value.isdecimal():
            raise ConfigError(f"--base {text}: give a whole number")
        base = changed(base, name, value if name == "model" else int(value))
    return base


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
