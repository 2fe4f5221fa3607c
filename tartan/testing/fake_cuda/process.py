"""The process of a fake device, and calls of functions in it."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Self, TypeVar, cast

from tartan.testing.fake_cuda.build import library, why_not

T = TypeVar("T")

PROGRAM = """
import ctypes, os, sys
ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)  # before torch asks for devices
from tartan.testing.fake_cuda.child import serve
serve()
os._exit(0)  # at once: nothing has to be torn down
"""


class DeviceProcessError(RuntimeError):
    """The process of a fake device ended."""


class CannotBeSentError(TypeError):
    """A function or an argument cannot be sent to the process."""


class FakeDevice:
    """A process in which torch has a CUDA device, `cuda:0`. Use it as a context manager."""

    why_not = staticmethod(why_not)

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the process.

        Raises:
            BuildError: there can be no fake device here.
        """
        self._errors = TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(library())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(_import_path())},
        )
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        process = self._running
        assert process.stdin is not None
        assert process.stdout is not None
        assert self._errors is not None
        process.stdin.close()
        process.wait()
        process.stdout.close()
        self._errors.close()
        self._process = self._errors = None

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return a function's result in the process.

        Args:
            function: it and its arguments, results and errors are sent by pickle.
            arguments: its arguments.

        Raises:
            CannotBeSentError: a class or function is not at the top level of a module that can be
                imported.
            DeviceProcessError: the process ended.
            Exception: whatever the function raises.
        """
        process = self._running
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            request = pickle.dumps((function, arguments))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise CannotBeSentError(f"it cannot be sent: {error}") from error
        try:
            process.stdin.write(len(request).to_bytes(8, "big") + request)
            process.stdin.flush()
            succeeded, result = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise DeviceProcessError(f"the process ended: {self._last_line()}") from error
        if not succeeded:
            assert isinstance(result, Exception)
            raise result
        return cast(T, result)

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise DeviceProcessError("the process was not started: use `with`")
        return self._process

    def _last_line(self) -> str:
        """Return the last line that the process wrote to standard error."""
        assert self._errors is not None
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no reason given"


def _import_path() -> list[str]:
    """Return where this process imports from, so that the other imports the same."""
    return [entry or str(Path.cwd()) for entry in sys.path]
