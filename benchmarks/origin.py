"""The origin of a measurement: command, commit, machine and versions."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.rounds import Result

ROOT = Path(__file__).parents[1]
NOTED = ROOT / "benchmarks" / "gpu" / "carried" / "commit.txt"
PACKAGES = ("tartan", "torch", "transformers", "accelerate", "torchjd")


def origin(command: str, results: Sequence[Result], started: datetime) -> dict[str, Any]:
    """Return the command, the date, the commit, the machine and the versions of measurements."""
    return {
        "command": command,
        "date": started.astimezone(UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "machine": machine(results[0].facts.device if results else "cpu"),
        "versions": versions(),
        "matrix_peak_flops": _peaks(results),
    }


def _peaks(results: Sequence[Result]) -> dict[str, float]:
    """Return the median of the measured matrix peaks, by precision."""
    peaks: dict[str, list[float]] = {}
    for result in results:
        peaks.setdefault(result.facts.precision, []).extend(result.peaks)
    return {precision: median(values) for precision, values in sorted(peaks.items()) if values}


def commit() -> str | None:
    """Return the checkout's commit, with a + if files differ from it.

    Outside a repository, what `benchmarks.gpu.pack` noted; None if it noted nothing.
    """
    found = _git("rev-parse", "--short=12", "HEAD")
    if found is None:
        return NOTED.read_text("utf-8").strip() if NOTED.exists() else None
    return found + ("+" if _git("diff", "--name-only", "HEAD") else "")


def _git(*arguments: str) -> str | None:
    """Return the output of git in the checkout; None if there is none, or no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def machine(device: str) -> dict[str, Any]:
    """Return a description of the machine."""
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
    """Return the processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def versions() -> dict[str, str | None]:
    """Return the versions that a measurement depends on; None for packages that are missing."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found
