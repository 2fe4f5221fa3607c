"""`python -m benchmarks.gpu.sides`: time sides one after another in one process.

Each side is built, compared with its reference, timed and freed before the next, so that its peak
of device memory is its own. The JSON file is written again after each. The device is waited for
once a turn, not around each step.
"""

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.agreement import Agreement
from benchmarks.arithmetic import Work
from benchmarks.experiment import with_model
from benchmarks.gpu.cases import CASES, COMPILED, GRAPHS, Case
from benchmarks.origin import commit, machine, versions
from benchmarks.peak import matrix_peak, synchronise
from benchmarks.setting import Setting
from benchmarks.sides import SIDES, Measured, Side
from tartan.errors import ModelError
from tartan.testing.fake_cuda.stand_ins import is_fake
from tartan.train.runtime import Runtime


@dataclass(frozen=True)
class Pace:
    """How much is measured.

    Attributes:
        warm_up: steps before; a graph is recorded when a size occurs again.
        turns: how many are timed, of which the median counts.
        steps: of a turn; with `weighting.every=4`, one of them measures.
    """

    warm_up: int = 5
    turns: int = 3
    steps: int = 4


FULL, FEW = Pace(), Pace(1, 1, 1)


def measured(
    case: Case, setting: Setting, references: dict[str, Path], peak: float, pace: Pace = FULL
) -> Any:
    """Build, compare and time a side; return its figures.

    Args:
        case: the side.
        setting: its setting, with the model's directory.
        references: files of gradients that others are compared with; its own is added.
        peak: operations a second of the device, in the side's precision.
        pace: how much is measured.
    """
    side = case.make(setting)
    try:
        runtime = Runtime(side.device, side.precision)
        agreement = _compared(case, side, references)
        if agreement is not None and agreement.objection is not None:
            return {"refused": agreement.objection, "agreement": asdict(agreement)}
        for _ in range(pace.warm_up):
            side.take()
            side.work()
        runtime.reset_peak_memory()
        turns = [_turn(side, pace.steps) for _ in range(pace.turns)]
        seconds, works = statistics.median(turns), _works(side, pace.steps)
        tokens = statistics.mean(work.tokens for work in works)
        flops = statistics.mean(work.flops for work in works)
        return {
            "device": str(side.device),
            "precision": side.precision,
            "seconds_per_step": seconds,
            "turns": turns,
            "tokens_per_second": tokens / seconds,
            "share_of_matrix_peak": flops / seconds / peak,
            "peak_memory_bytes": runtime.peak_memory(),
            "gradient_bytes": side.gradient_bytes,
            "agreement": None if agreement is None else asdict(agreement),
        }
    finally:
        side.close()


def _turn(side: Side, steps: int) -> float:
    """Return the seconds of a step, the mean of a turn."""
    synchronise(side.device)
    start = time.perf_counter()
    for _ in range(steps):
        side.take()
    synchronise(side.device)
    return (time.perf_counter() - start) / steps


def _works(side: Side, steps: int) -> list[Work]:
    """Return the work of each step of another turn."""
    found = []
    for _ in range(steps):
        side.take()
        found.append(side.work())
    return found


def _compared(case: Case, side: Side, references: dict[str, Path]) -> Agreement | None:
    """Write a side's gradient, and compare it with that of its reference if there is one."""
    if case.side not in SIDES:
        return None
    key = f"{case.side} {side.precision}"
    named = SIDES[case.side].reference
    place = references["directory"] / f"{len(references)}.safetensors"
    before = None if named is None else _reference(named, side.precision, references)
    side.gradient(None if before is None else Measured.load(before)).save(place)
    references[key] = place
    return None if before is None else Agreement.of(Measured.load(place), Measured.load(before))


def _reference(named: str, precision: str, references: dict[str, Path]) -> Path:
    """Return the reference's file: in the same precision, else in another. LookupError if none."""
    found = references.get(f"{named} {precision}")
    others = [file for key, file in references.items() if key.startswith(f"{named} ")]
    if found is None and not others:
        raise LookupError(f"{named} was not measured before")
    return found or others[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every case and write after each; return 1 if one failed or was refused."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.sides", description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--cases", choices=tuple(CASES), default="time")
    parser.add_argument("--small", action="store_true", help="tiny bodies, for a rehearsal")
    options = parser.parse_args(arguments)
    chosen = CASES[options.cases](small=options.small)
    if is_fake():  # torch.compile writes code for a real device
        chosen = [case for case in chosen if COMPILED[0] not in case.overrides]
    device = Runtime.choose("auto", "bf16").device
    peaks = {each: matrix_peak(device, each, small=options.small) for each in ("fp32", "bf16")}
    found: dict[str, Any] = {
        "command": " ".join(["python -m benchmarks.gpu.sides", *(arguments or sys.argv[1:])]),
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine(str(device)),
        "versions": versions(),
        "matrix_peak_flops": peaks,
        "cases": {},
    }
    measure_all(chosen, found, options.json, FEW if options.small else FULL)
    return 1 if any({"error", "refused"} & set(case) for case in found["cases"].values()) else 0


def measure_all(
    chosen: Sequence[Case], found: dict[str, Any], file: Path, pace: Pace = FULL
) -> None:
    """Measure cases, and write `found` after each; one that fails is recorded.

    After a graph that could not be recorded the device cannot be used: nothing more is measured.
    """
    models: dict[tuple[Any, ...], Setting] = {}
    references: dict[Setting, dict[str, Path]] = {}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="tartan-gradients-")))
        for case in chosen:
            setting, spoilt = case.setting, False
            if COMPILED[0] in case.overrides:
                torch.compiler.reset()  # else its limit of variants counts those of other sides
            try:
                key = (setting.model, setting.length)
                if key not in models:
                    models[key] = stack.enter_context(with_model(setting))
                made = replace(setting, model=models[key].model)
                group = replace(setting, precision="auto", plain_precision="auto")
                if group not in references:
                    references[group] = {"directory": scratch / str(len(references))}
                    references[group]["directory"].mkdir()
                precise = setting.plain_precision if "plain" in case.side else setting.precision
                peak = found["matrix_peak_flops"][precise]
                found["cases"][case.name] = measured(case, made, references[group], peak, pace)
            except Exception as error:  # whatever a side raises: the others are measured
                found["cases"][case.name] = {"error": f"{type(error).__name__}: {error}"[:500]}
                spoilt = isinstance(error, ModelError) and GRAPHS[0] in case.overrides
            print(case.name, found["cases"][case.name], flush=True)
            file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            if spoilt:
                return
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main())
