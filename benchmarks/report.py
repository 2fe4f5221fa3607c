"""Measurements as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from statistics import median
from typing import Any

from benchmarks.arithmetic import median_ratio
from benchmarks.origin import origin
from benchmarks.rounds import Group, Result
from benchmarks.runner import Turn
from benchmarks.setting import Setting


@dataclass(frozen=True)
class Ratio:
    """One side's seconds a step, or its tokens a second, over another's.

    Attributes:
        over: the side above the line.
        under: the side below it.
        measure: `seconds` a step or `tokens` a second.
    """

    over: str
    under: str
    measure: str = "seconds"


RATIOS = (
    Ratio("plain-static", "tartan-static"),
    Ratio("plain-meta", "tartan-meta"),
    Ratio("plain-static-kept", "tartan-static"),
    Ratio("plain-meta-kept", "tartan-meta"),
    Ratio("plain-meta", "plain-static"),
    Ratio("tartan-meta", "tartan-static"),
    Ratio("tartan-meta-every-4", "tartan-static"),
    Ratio("tartan-mlm", "trainer-mlm", "tokens"),
    Ratio("tartan-mlm", "trainer-mlm-kept", "tokens"),
    Ratio("tartan-meta-n", "tartan-static-n"),
    Ratio("tartan-gramian", "tartan-static-n"),
    Ratio("torchjd-gramian", "tartan-gramian"),
)
"""What is reported where both sides were timed."""

EXTRA_MEMORY = (
    ("tartan-meta", "tartan-static"),
    ("tartan-meta-every-4", "tartan-static"),
    ("tartan-meta-n", "tartan-static-n"),
    ("tartan-gramian", "tartan-static-n"),
    ("torchjd-gramian", "tartan-static-n"),
)
"""Sides whose peak is compared with that of a step that measures nothing."""


def report(
    command: str, setting: Setting, groups: Mapping[str, Group], started: datetime
) -> dict[str, Any]:
    """Return everything that was measured, as JSON.

    Args:
        command: what was typed.
        setting: what was measured, as it was typed.
        groups: by name.
        started: when.
    """
    results = [result for group in groups.values() for result in group.results.values()]
    return {
        **origin(command, results, started),
        "setting": setting.as_dict(),
        "groups": {name: group_report(group) for name, group in groups.items()},
    }


def group_report(group: Group) -> dict[str, Any]:
    """Return the measurements of a group."""
    return {
        "sides": {name: side(result) for name, result in group.results.items()},
        "ratios": ratios(group.results),
        "extra_memory": extra_memory(group.results),
        "refused": dict(group.refused),
    }


def side(result: Result) -> dict[str, Any]:
    """Return the measurements of one side; medians over its rounds."""
    turns, agreement = result.turns, result.agreement
    return {
        **asdict(result.facts),
        "seconds_per_step": median(turn.seconds for turn in turns),
        "cpu_seconds_per_step": median(turn.cpu_seconds for turn in turns),
        "tokens_per_second": median(turn.tokens / turn.seconds for turn in turns),
        "share_of_matrix_peak": median(
            turn.flops / turn.seconds / peak for turn, peak in zip(turns, result.peaks, strict=True)
        ),
        "resting_memory_bytes": None if result.memory is None else result.memory.rest,
        "peak_memory_bytes": None if result.memory is None else result.memory.peak,
        "agreement": None if agreement is None else asdict(agreement),
        "rounds": [asdict(turn) for turn in turns],
    }


def ratios(results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """Return the ratios of `RATIOS` whose sides were timed: medians of the rounds' ratios.

    `cpu_median` is that of processor time: other processes matter less to it than to the clock.
    """
    found = []
    for ratio in RATIOS:
        if ratio.over in results and ratio.under in results:
            pair = [results[name].turns for name in (ratio.over, ratio.under)]
            wall, cpu = (
                median_ratio(
                    *([_value(turn, ratio.measure, seconds) for turn in turns] for turns in pair)
                )
                for seconds in ("seconds", "cpu_seconds")
            )
            found.append({**asdict(ratio), "median": wall, "cpu_median": cpu})
    return found


def extra_memory(results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """Return peaks above a static step's, in bytes and in copies of the body's gradient."""
    found = []
    for name, base in EXTRA_MEMORY:
        memories = [results[each].memory for each in (name, base) if each in results]
        if len(memories) == 2 and memories[0] is not None and memories[1] is not None:
            extra = memories[0].peak - memories[1].peak
            copies = extra / results[name].facts.gradient_bytes
            found.append({"side": name, "above": base, "bytes": extra, "gradient_copies": copies})
    return found


def _value(turn: Turn, measure: str, seconds: str) -> float:
    """Return a turn's seconds a step or tokens a second, by the clock or by CPU time."""
    spent: float = getattr(turn, seconds)
    return turn.tokens / spent if measure == "tokens" else spent
