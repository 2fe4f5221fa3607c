"""What is timed on a GPU: sides, settings and overrides."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.setting import Setting
from benchmarks.sides import SIDES, Side
from benchmarks.sides.tartan import TartanSide, by_meta
from tartan.body.kernels import varlen

JOINT = ("tartan-meta", "tartan-static", "tartan-meta-every-4", "plain-static", "plain-meta")
EQUAL = ("tartan-mlm", "trainer-mlm", "tartan-gramian", "torchjd-gramian")
GRAPHS, COMPILED = ("cuda_graphs=true",), ("compile=true",)
Way = tuple[str, bool, tuple[str, ...]]
"""A name, whether attention is in buckets, and overrides."""
WAYS: Sequence[Way] = (("varlen", False, ()), ("buckets", True, ()), ("graphs", False, GRAPHS))
SMALL: dict[str, Any] = {"model": "tiny", "batch": 4, "length": 16, "words": 6}


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
    """Return the measurements of time without CUDA graphs, the most important first."""
    short, long, few = _sizes(small=small)
    main = (*JOINT[:2], *EQUAL[:2])
    return [
        *_named(main, *short),
        *_named(main, *long),
        *_named(main, *few),
        *_named((JOINT[2], *EQUAL[2:]), *short),
        *_own(COMPILED, *short),
        *_varied(WAYS[:2], *short),
        *_named(JOINT[3:], *short),
        *_precisions(*short),
    ]


def graph_cases(*, small: bool) -> list[Case]:
    """Return the measurements of time with CUDA graphs, those with compiled layers last."""
    short, long, few = _sizes(small=small)
    return [
        *_own(GRAPHS, *short),
        *_own(GRAPHS, *few),
        *_varied(WAYS[2:], *short),
        *_own((*GRAPHS, *COMPILED), *short),
        *_own((*GRAPHS, *COMPILED), *long),
    ]


def _sizes(*, small: bool) -> tuple[tuple[int, int, Setting], ...]:
    """Return rows, tokens and setting: short texts, long ones, and few."""
    return tuple(
        (batch, length, roberta_base(batch, length, small=small))
        for batch, length in ((64, 128), (64, 512), (32, 50))
    )


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


def _varied(ways: Sequence[Way], batch: int, length: int, setting: Setting) -> list[Case]:
    """Return tartan's sides on texts of all lengths: with equal ones there is a single bucket."""
    varied = replace(setting, words=None)
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
        for side in ("meta", "static")
        for name, more in options.items()
    ]


def roberta_base(batch: int, length: int, *, small: bool) -> Setting:
    """Return roberta-base's shape with texts of the full length, or a tiny body."""
    made = Setting(
        model="base", batch=batch, length=length, words=length - 2, device="auto", precision="bf16"
    )
    return replace(made, **SMALL) if small else made


CASES = {"time": cases, "graphs": graph_cases, "memory": memory_cases}
"""The measurements of a process, by name."""


def _case(side: str, setting: Setting, batch: int, length: int, note: str = "") -> Case:
    return Case(" ".join(filter(None, (side, note, f"{batch}x{length}"))), side, setting)
