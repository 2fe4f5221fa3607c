"""What was measured, as JSON and as tables."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.arithmetic import median_ratio
from benchmarks.rounds import Group, Result
from benchmarks.runner import Turn
from benchmarks.setting import Setting

ROOT = Path(__file__).parents[1]
PACKAGES = ("tartan", "torch", "transformers", "accelerate", "torchjd")


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
    Ratio("tartan-meta-n", "tartan-static-n"),
    Ratio("tartan-gramian", "tartan-static-n"),
    Ratio("torchjd-gramian", "tartan-gramian"),
)
"""What is reported where both sides were timed."""

EXTRA_MEMORY = (
    ("tartan-meta", "tartan-static"),
    ("tartan-meta-n", "tartan-static-n"),
    ("tartan-gramian", "tartan-static-n"),
    ("torchjd-gramian", "tartan-static-n"),
)
"""Sides whose peak is compared with that of a step that measures nothing."""


def report(
    command: str, setting: Setting, groups: Mapping[str, Group], started: datetime
) -> dict[str, Any]:
    """Everything, as JSON has it.

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


def origin(command: str, results: Sequence[Result], started: datetime) -> dict[str, Any]:
    """Where measurements come from: the command, the day, the commit, the machine, versions."""
    return {
        "command": command,
        "date": started.astimezone(UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "machine": machine(results[0].facts.device if results else "cpu"),
        "versions": versions(),
        "matrix_peak_flops": _peaks(results),
    }


def group_report(group: Group) -> dict[str, Any]:
    """What was measured of a group."""
    return {
        "sides": {name: side(result) for name, result in group.results.items()},
        "ratios": ratios(group.results),
        "extra_memory": extra_memory(group.results),
        "refused": dict(group.refused),
    }


def side(result: Result) -> dict[str, Any]:
    """What was measured of one side; medians over its rounds."""
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
    """The ratios of `RATIOS` whose sides were timed: medians of the rounds' ratios.

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
    """Peaks above a static step's, in bytes and in copies of the body's gradient."""
    found = []
    for name, base in EXTRA_MEMORY:
        memories = [results[each].memory for each in (name, base) if each in results]
        if len(memories) == 2 and memories[0] is not None and memories[1] is not None:
            extra = memories[0].peak - memories[1].peak
            copies = extra / results[name].facts.gradient_bytes
            found.append({"side": name, "above": base, "bytes": extra, "gradient_copies": copies})
    return found


def _value(turn: Turn, measure: str, seconds: str) -> float:
    """A turn's seconds a step or tokens a second, by the clock or by the processor's time."""
    spent: float = getattr(turn, seconds)
    return turn.tokens / spent if measure == "tokens" else spent


def _peaks(results: Sequence[Result]) -> dict[str, float]:
    """The median of the matrix peaks that were measured, by precision."""
    peaks: dict[str, list[float]] = {}
    for result in results:
        peaks.setdefault(result.facts.precision, []).extend(result.peaks)
    return {precision: median(values) for precision, values in sorted(peaks.items()) if values}


def commit() -> str | None:
    """The checkout's commit, with a + where files differ from it; None outside a repository."""
    found = _git("rev-parse", "--short=12", "HEAD")
    return None if found is None else found + ("+" if _git("diff", "--name-only", "HEAD") else "")


def _git(*arguments: str) -> str | None:
    """What git says of the checkout; None if it says nothing, or is not there."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def machine(device: str) -> dict[str, Any]:
    """What it ran on."""
    found: dict[str, Any] = {
        "device": device,
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "threads": torch.get_num_threads(),
        "system": platform.system(),
    }
    if device.startswith("cuda"):
        found["gpu"] = torch.cuda.get_device_name(torch.device(device))
    return found


def _processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def versions() -> dict[str, str | None]:
    """Versions that a measurement depends on; None for what is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found
