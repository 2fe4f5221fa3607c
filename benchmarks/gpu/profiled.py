"""`python -m benchmarks.gpu.profiled`: the kernels of a step by time, and where the host waits."""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.experiment import with_model
from benchmarks.gpu.cases import roberta_base
from benchmarks.peak import synchronise
from benchmarks.setting import Setting
from benchmarks.sides import SIDES, Side
from tartan.testing.fake_cuda.stand_ins import is_fake

STEPS, MOST = 3, 40


def profiled(name: str, setting: Setting) -> dict[str, Any]:
    """Return launches, seconds and the slowest kernels of a step (of operators, on a CPU)."""
    side = SIDES[name].make(setting)
    for _ in range(STEPS):
        side.take()
    real = side.device.type == "cuda" and not is_fake()
    waits = _waits(side) if real else None
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if real else [])]
    synchronise(side.device)
    start = time.perf_counter()
    with profile(activities=kinds) as found:
        for _ in range(STEPS):
            side.take()
        synchronise(side.device)
    seconds = (time.perf_counter() - start) / STEPS
    events = [
        event
        for event in found.key_averages()
        if not real or ("CUDA" in str(event.device_type) and not event.is_user_annotation)
    ]
    rows = [
        {
            "name": event.key[:120],
            "launches": event.count / STEPS,
            "seconds": _seconds(event, real=real) / STEPS,
        }
        for event in events
    ]
    rows.sort(key=lambda row: -row["seconds"])
    return {
        "of": "kernels" if real else "operators on the CPU",
        "seconds_per_step": seconds,
        "busy_seconds_per_step": sum(row["seconds"] for row in rows),
        "launches_per_step": sum(row["launches"] for row in rows),
        "waits": waits,
        "slowest": rows[:MOST],
    }


def _seconds(event: Any, *, real: bool) -> float:
    """Return the seconds that an event itself took."""
    micro = event.self_device_time_total if real else event.self_cpu_time_total
    return float(micro) / 1e6


def _waits(side: Side) -> list[str]:
    """Return the lines at which the host waits in a step, as torch reports them."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            side.take()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    lines = {
        f"{Path(one.filename).name}:{one.lineno}"
        for one in caught
        if "synchron" in str(one.message)
    }
    return sorted(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Profile both kinds of step, and write after each; return 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.profiled", description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--small", action="store_true", help="a tiny body, for a rehearsal")
    options = parser.parse_args(arguments)
    found: dict[str, Any] = {}
    with with_model(roberta_base(64, 128, small=options.small)) as setting:
        for name in ("tartan-static", "tartan-meta"):
            try:
                found[name] = profiled(name, setting)
            except Exception as error:  # whatever a side raises: the other is profiled
                found[name] = {"error": f"{type(error).__name__}: {error}"[:500]}
            options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if any("error" in entry for entry in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
