"""One side under measurement."""

import ctypes
import gc
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.arithmetic import Work
from benchmarks.peak import synchronise
from benchmarks.setting import Setting
from benchmarks.sides import SIDES, Measured, Side
from tartan.train.runtime import Runtime


@dataclass(frozen=True)
class Turn:
    """The time and work of a turn.

    Attributes:
        seconds: of wall-clock time a step.
        cpu_seconds: of the process's processor time a step.
        tokens: real tokens a step.
        flops: operations a step that the method asks of the body's matrices.
    """

    seconds: float
    cpu_seconds: float
    tokens: float
    flops: float


@dataclass(frozen=True)
class Facts:
    """Facts about a side, known once it is built.

    Attributes:
        device: where it computes.
        precision: `fp32` or `bf16`.
        gradient_bytes: bytes of one copy of the body's gradient.
    """

    device: str
    precision: str
    gradient_bytes: int


@dataclass(frozen=True)
class Memory:
    """The memory of a process, or of its device if the device counts it.

    Attributes:
        rest: bytes before the first step.
        peak: bytes at the peak of all steps.
    """

    rest: int
    peak: int


class Runner(ABC):
    """Measures one side."""

    @abstractmethod
    def build(self) -> Facts:
        """Build the side."""

    @abstractmethod
    def gradient(self, file: Path, reference: Path | None) -> None:
        """Write the side's gradient; `reference` is what it will be compared with."""

    @abstractmethod
    def begin(self) -> None:
        """Count memory from now on."""

    @abstractmethod
    def turn(self) -> Turn:
        """Take a turn's steps."""

    @abstractmethod
    def memory(self) -> Memory | None:
        """Return memory since `begin`; None if other sides share the process."""

    @abstractmethod
    def close(self) -> None:
        """Stop the side."""


class Local(Runner):
    """A side in this process."""

    def __init__(self, setting: Setting, name: str, *, alone: bool = False) -> None:
        """`alone`: True if no other side is measured in this process."""
        self._setting, self._entry, self._alone = setting, SIDES[name], alone
        self._side: Side | None = None
        self._rest = 0

    def build(self) -> Facts:
        """Build the side in this process."""
        self._side = side = self._entry.make(self._setting)
        self._runtime = Runtime(side.device, side.precision)
        return Facts(str(side.device), side.precision, side.gradient_bytes)

    def gradient(self, file: Path, reference: Path | None) -> None:
        """Write the gradient that the side measures."""
        given = None if reference is None else Measured.load(reference)
        self.side.gradient(given).save(file)

    def begin(self) -> None:
        """Return freed memory to the system, if it allows that, and count from now on."""
        if not self._alone:
            return
        gc.collect()
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        self._runtime.reset_peak_memory()
        self._rest = self._runtime.peak_memory()

    def turn(self) -> Turn:
        """Take steps, each timed from device idle to device idle."""
        side, steps, work = self.side, self._entry.steps, Work()
        wall = cpu = 0.0
        for _ in range(steps):
            synchronise(side.device)
            start = time.perf_counter(), time.process_time()
            side.take()
            synchronise(side.device)
            wall += time.perf_counter() - start[0]
            cpu += time.process_time() - start[1]
            work += side.work()
        return Turn(wall / steps, cpu / steps, work.tokens / steps, work.flops / steps)

    def memory(self) -> Memory | None:
        """Return what `Runtime` counts."""
        return Memory(self._rest, self._runtime.peak_memory()) if self._alone else None

    def close(self) -> None:
        """Stop the side, if it was built."""
        if self._side is not None:
            self._side.close()

    @property
    def side(self) -> Side:
        """The side that `build` built."""
        assert self._side is not None
        return self._side
