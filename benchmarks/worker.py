"""A side in a process of its own, so that its peak memory is its own."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.runner import Facts, Local, Memory, Runner, Turn
from benchmarks.setting import Setting
from benchmarks.sides import SIDES
from tartan.errors import TartanError
from tartan.train.memory import keep_freed_memory

ROOT = Path(__file__).parents[1]


class BenchmarkError(TartanError):
    """A side that cannot be measured."""


class Remote(Runner):
    """A side in a process of its own, which answers one request at a time."""

    def __init__(self, setting: Setting, name: str) -> None:
        self._name = name
        path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            env={**os.environ, **SIDES[name].environment, "PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._send("build", setting=setting.as_dict(), name=name)

    def build(self) -> Facts:
        """Wait for the build, which began with the process."""
        return Facts(**self._receive())

    def gradient(self, file: Path, reference: Path | None) -> None:
        """Request `Local.gradient`."""
        self._call("gradient", file=str(file), reference=reference and str(reference))

    def begin(self) -> None:
        """Request `Local.begin`."""
        self._call("begin")

    def turn(self) -> Turn:
        """Request `Local.turn`."""
        return Turn(**self._call("turn"))

    def memory(self) -> Memory | None:
        """Request `Local.memory`."""
        return Memory(**self._call("memory"))

    def close(self) -> None:
        """End the process."""
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
        with suppress(BrokenPipeError):  # `_receive` reports what happened to the process
            self._process.stdin.write(json.dumps([method, arguments]) + "\n")
            self._process.stdin.flush()

    def _receive(self) -> Any:
        """Return the answer. BenchmarkError if it is an error, or there is none."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(
                f"{self._name}: its process ended with status {self._process.wait()}: "
                "see its output above; -9 usually means too little memory"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise BenchmarkError(f"{self._name}: {answer['error']}")
        return answer["answer"]


def serve() -> None:
    """Answer requests, a JSON line each, until there are no more."""
    # The output of libraries must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    keep_freed_memory()  # as `python -m tartan run` does; not where a side's environment differs
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
