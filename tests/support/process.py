"""Processes that die where a test says: killed by themselves, so that the moment is exact."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from support.command import Answer
from tartan.cli import main
from tartan.plugins import discover

import_module("tartan.cli.run_job")
discover()  # here, so that no forked process has to import what a run and its plugins do


def forked(
    arguments: Sequence[str],
    prepare: Callable[[], None] = lambda: None,
    said: Path | None = None,
) -> int:
    """Run a command in a process of its own; its exit status, negative where a signal killed it.

    Args:
        arguments: the command's.
        prepare: called in the process before the command.
        said: the directory that what it says is written to, as `out` and `err`.
    """
    process = os.fork()
    if process == 0:
        _run(arguments, prepare, said)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def apart(act: Callable[[], Any], said: Path) -> Answer:
    """Call a function in a process of its own that is forked; what the process answers."""
    process = os.fork()
    if process == 0:
        _act(act, said)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return Answer(status, (said / "out").read_text(), (said / "err").read_text())


def _run(
    arguments: Sequence[str],
    prepare: Callable[[], None] = lambda: None,
    said: Path | None = None,
) -> NoReturn:
    """Run a command in a process that has just been forked, and end the process."""

    def act() -> int:
        prepare()
        return main(arguments)

    _act(act, said)


def _act(act: Callable[[], int | None], said: Path | None) -> NoReturn:
    """Call a function in a process that has just been forked, and end the process."""
    status = 99
    # Whoever runs the tests in the background has them ignore Ctrl-C, which would be inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if said:
            said.mkdir(exist_ok=True)
            sys.stdout, sys.stderr = (said / "out").open("w", 1), (said / "err").open("w", 1)
            os.dup2(sys.stderr.fileno(), 2)
        status = act() or 0
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def answered(
    arguments: Sequence[str], said: Path, prepare: Callable[[], None] = lambda: None
) -> Answer:
    """Run a command as `forked` does; what it answers."""
    status = forked(arguments, prepare, said)
    return Answer(status, (said / "out").read_text(), (said / "err").read_text())


def at_call(target: str, number: int, act: Callable[[], Any], after: bool = False) -> None:
    """Act at a call of a function, in this process: the first is number 1.

    Args:
        target: `module:function` or `module:Class.method`.
        number: which call.
        act: what to do, before the function does its work.
        after: do it when the function has done its work instead.
    """
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    owner: Any = import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    original, calls = getattr(owner, name), 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and not after:
            act()
        result = original(*args, **kwargs)
        if calls == number and after:
            act()
        return result

    setattr(owner, name, counted)


def send(number: int) -> Callable[[], None]:
    """Send this process a signal."""
    return lambda: os.kill(os.getpid(), number)


KILL = send(signal.SIGKILL)


class Forked:
    """A command in a forked process, spoken to like a `subprocess.Popen`; it starts at once."""

    def __init__(
        self,
        *arguments: str,
        said: Path | None = None,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self.returncode: int | None = None
        self._process = os.fork()
        if self._process == 0:
            _run(arguments, prepare, said=said)

    def poll(self) -> int | None:
        """How it ended; None while it lasts."""
        return self._ask(os.WNOHANG)

    def wait(self) -> int | None:
        """How it ends."""
        return self._ask(0)

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self._process, number)

    def _ask(self, how: int) -> int | None:
        if self.returncode is None:
            process, status = os.waitpid(self._process, how)
            if process:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode
