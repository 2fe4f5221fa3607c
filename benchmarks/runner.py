"""One side under measurement, in this process or in one of its own."""

import ctypes
import gc
import json
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.arithmetic import Work
from benchmarks.peak import synchronise
from benchmarks.setting import Setting
from benchmarks.sides import SIDES, Measured, Side
from tartan.errors import TartanError
from tartan.train.runtime import Runtime

ROOT = Path(__file__).parents[1]


class BenchmarkError(TartanError):
    """A side that cannot be measured."""


@dataclass(frozen=True)
class Turn:
    """What a turn took.

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
    """What there is to say of a side once it is built.

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
    """A process's memory, or its device's where that is counted.

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
        """Since `begin`; None where other sides share the process."""

    @abstractmethod
    def close(self) -> None:
        """End."""


class Local(Runner):
    """A side in this process."""

    def __init__(self, setting: Setting, name: str, *, alone: bool = False) -> None:
        """`alone`: whether no other side is measured in this process."""
        self._setting, self._entry, self._alone = setting, SIDES[name], alone
        self._side: Side | None = None
        self._rest = 0

    def build(self) -> Facts:
        """As the side builds itself."""
        self._side = side = self._entry.make(self._setting)
        self._runtime = Runtime(side.device, side.precision)
        return Facts(str(side.device), side.precision, side.gradient_bytes)

    def gradient(self, file: Path, reference: Path | None) -> None:
        """Measured by the side."""
        given = None if reference is None else Measured.load(reference)
        self.side.gradient(given).save(file)

    def begin(self) -> None:
        """What was freed goes back to the system first, where it lets a process say so."""
        if not self._alone:
            return
        gc.collect()
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        self._runtime.reset_peak_memory()
        self._rest = self._runtime.peak_memory()

    def turn(self) -> Turn:
        """Timed from device idle to device idle."""
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
        """As `Runtime` counts it."""
        return Memory(self._rest, self._runtime.peak_memory()) if self._alone else None

    def close(self) -> None:
        """Stop the side, if it was built."""
        if self._side is not None:
            self._side.close()

    @property
    def side(self) -> Side:
        """What `build` built."""
        assert self._side is not None
        return self._side


class Remote(Runner):
    """A side in a process of its own, which does one thing at a time and only when told to."""

    def __init__(self, setting: Setting, name: str) -> None:
        self._name = name
        path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.runner"],
            env={**os.environ, **SIDES[name].environment, "PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._send("build", setting=setting.as_dict(), name=name)

    def build(self) -> Facts:
        """Begun when the process was; wait for it."""
        return Facts(**self._receive())

    def gradient(self, file: Path, reference: Path | None) -> None:
        """As `Local.gradient`."""
        self._call("gradient", file=str(file), reference=reference and str(reference))

    def begin(self) -> None:
        """As `Local.begin`."""
        self._call("begin")

    def turn(self) -> Turn:
        """As `Local.turn`."""
        return Turn(**self._call("turn"))

    def memory(self) -> Memory | None:
        """As `Local.memory`."""
        return Memory(**self._call("memory"))

    def close(self) -> None:
        """Have the process end."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=60)
        self._process.kill()
        self._process.wait()

    def _call(self, method: str, **arguments: Any) -> Any:
        self._send(method, **arguments)
        return self._receive()

    def _send(self, method: str, **arguments: Any) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # what became of the process is said by `_receive`
            self._process.stdin.write(json.dumps([method, arguments]) + "\n")
            self._process.stdin.flush()

    def _receive(self) -> Any:
        """The answer. BenchmarkError if it is an error, or there is none."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(
                f"{self._name}: its process ended with status {self._process.wait()}: "
                "what it wrote before says why; -9 is mostly too little memory"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise BenchmarkError(f"{self._name}: {answer['error']}")
        return answer["answer"]


def serve() -> None:
    """Answer requests, a JSON line each, until there are no more."""
    # What libraries print must not get among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    local: Local | None = None
    for line in sys.stdin:
        method, arguments = json.loads(line)
        answer: dict[str, Any]
        try:
            if method == "build":
                setting = Setting(**arguments["setting"])
                local = Local(setting, arguments["name"], alone=True)
                arguments = {}
            paths = {name: value and Path(value) for name, value in arguments.items()}
            result = getattr(local, method)(**paths)
            answer = {"answer": None if result is None else asdict(result)}
        except TartanError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)
    if local is not None:
        local.close()


if __name__ == "__main__":
    serve()
