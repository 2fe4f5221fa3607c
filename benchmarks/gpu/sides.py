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
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.agreement import Agreement
from benchmarks.experiment import with_model
from benchmarks.origin import commit, machine, versions
from benchmarks.peak import matrix_peak, synchronise
from benchmarks.setting import Setting
from benchmarks.sides import SIDES, Measured, Side
from benchmarks.sides.tartan import TartanSide, by_meta
from tartan.body.kernels import varlen
from tartan.testing.fake_cuda.stand_ins import is_fake
from tartan.train.runtime import Runtime

JOINT = ("tartan-meta", "tartan-static", "tartan-meta-every-4", "plain-static", "plain-meta")
EQUAL = ("tartan-mlm", "trainer-mlm", "tartan-gramian", "torchjd-gramian")
GRAPHS = ("cuda_graphs=true",)
SMALL: dict[str, Any] = {"model": "tiny", "batch": 4, "length": 16, "words": 6}


@dataclass(frozen=True)
class Pace:
    """How much is measured.

    Attributes:
        warm_up: steps before; a graph is recorded when a size occurs again.
        turns: how many are timed, of which the median counts.
        steps: of a turn.
    """

    warm_up: int = 5
    turns: int = 3
    steps: int = 5


FULL, FEW = Pace(), Pace(1, 1, 1)


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes:
        name: unique in the file.
        side: of `SIDES`, or `static`, `mlm` and `meta` with overrides.
        setting: what it trains.
        overrides: of tartan's own sides.
        buckets: whether attention is in buckets, not by a variable-length kernel.
    """

    name: str
    side: str
    setting: Setting
    overrides: tuple[str, ...] = ()
    buckets: bool = False

    def make(self, setting: Setting) -> Side:
        """Build it."""
        if self.side not in SIDES:
            more = {"meta": by_meta(setting), "mlm": ["schedule=pretrain"]}.get(self.side, ())
            with in_buckets() if self.buckets else nullcontext():
                return TartanSide(setting, 1, *more, *self.overrides)
        return SIDES[self.side].make(setting)


@contextmanager
def in_buckets() -> Iterator[None]:
    """Build bodies as where there is no variable-length kernel."""
    kernel_for = varlen.kernel_for
    varlen.kernel_for = lambda *_: None
    try:
        yield
    finally:
        varlen.kernel_for = kernel_for


def cases(*, small: bool) -> list[Case]:
    """Return the measurements of time: most important first."""
    short, long, few = (
        (batch, length, roberta_base(batch, length, small=small))
        for batch, length in ((64, 128), (64, 512), (32, 50))
    )
    main = (*JOINT[:2], *EQUAL[:2])
    compiled = ("compile=true",)
    return [
        *_named(main, *short),
        *_own(GRAPHS, *short),
        *_own((*GRAPHS, *compiled), *short),
        *_named(main, *long),
        *_own((*GRAPHS, *compiled), *long),
        *_named(main, *few),
        *_own(GRAPHS, *few),
        *_named((JOINT[2], *EQUAL[2:]), *short),
        *_own(compiled, *short),
        *_varied(*short),
        *_named(JOINT[3:], *short),
        *_precisions(*short),
    ]


def _named(sides: Sequence[str], batch: int, length: int, setting: Setting) -> list[Case]:
    """Return sides of `SIDES` in one setting."""
    return [_case(side, setting, batch, length) for side in sides]


def _own(overrides: Sequence[str], batch: int, length: int, setting: Setting) -> list[Case]:
    """Return tartan's sides with overrides."""
    note = " ".join(overrides)
    return [
        Case(f"{side} {note} {batch}x{length}", side, setting, tuple(overrides))
        for side in ("static", "mlm", "meta")
    ]


def _varied(batch: int, length: int, setting: Setting) -> list[Case]:
    """Return tartan's sides on texts of all lengths: with equal ones there is a single bucket."""
    varied = replace(setting, words=None)
    ways = (("varlen", False, ()), ("graphs", False, GRAPHS), ("buckets", True, ()))
    return [
        Case(f"{side} varied {name} {batch}x{length}", side, varied, more, buckets)
        for side in ("static", "meta")
        for name, buckets, more in ways
    ]


def _precisions(batch: int, length: int, setting: Setting) -> list[Case]:
    """Return the plain loop in bf16, and tartan and others in float32."""
    plain = replace(setting, plain_precision="bf16")
    full = replace(setting, precision="fp32")
    return [_case(name, plain, batch, length, "bf16") for name in JOINT[3:]] + [
        _case(name, full, batch, length, "fp32") for name in EQUAL
    ]


def memory_cases(*, small: bool) -> list[Case]:
    """Return the measurements of memory: the options that lower it, on long texts."""
    setting = roberta_base(64, 512, small=small)
    options = {
        "as it is": (),
        "checkpointing": ("model.gradient_checkpointing=true",),
        "16,384 tokens a pass": ("model.max_tokens_per_pass=16384",),
        "both": ("model.gradient_checkpointing=true", "model.max_tokens_per_pass=16384"),
    }
    return [
        Case(f"{side}, {name}", side, setting, more)
        for side in ("static", "meta")
        for name, more in options.items()
    ]


def roberta_base(batch: int, length: int, *, small: bool) -> Setting:
    """Return roberta-base's shape with texts of the full length, or a tiny body."""
    made = Setting(
        model="base", batch=batch, length=length, words=length - 2, device="auto", precision="bf16"
    )
    return replace(made, **SMALL) if small else made


def _case(side: str, setting: Setting, batch: int, length: int, note: str = "") -> Case:
    return Case(" ".join(filter(None, (side, note, f"{batch}x{length}"))), side, setting)


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
        seconds, work = statistics.median(turns), side.work()
        return {
            "device": str(side.device),
            "precision": side.precision,
            "seconds_per_step": seconds,
            "turns": turns,
            "tokens_per_second": work.tokens / seconds,
            "share_of_matrix_peak": work.flops / seconds / peak,
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
    parser.add_argument("--cases", choices=("time", "memory"), default="time")
    parser.add_argument("--small", action="store_true", help="tiny bodies, for a rehearsal")
    options = parser.parse_args(arguments)
    chosen = (cases if options.cases == "time" else memory_cases)(small=options.small)
    if is_fake():  # torch.compile writes code for a real device
        chosen = [case for case in chosen if "compile=true" not in case.overrides]
    device = Runtime.choose("auto", "bf16").device
    peaks = {precision: matrix_peak(device, precision) for precision in ("fp32", "bf16")}
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
    """Measure cases, and write `found` after each; one that fails is recorded."""
    models: dict[tuple[Any, ...], Setting] = {}
    references: dict[Setting, dict[str, Path]] = {}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="tartan-gradients-")))
        for case in chosen:
            setting = case.setting
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
            print(case.name, found["cases"][case.name], flush=True)
            file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main())
