"""Run a study's work in separate processes, and wait for them."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection
from pathlib import Path
from typing import Any

from tartan.errors import Interrupted
from tartan.study import child, trial
from tartan.train.interrupt import Interrupts


class WorkError(Exception):
    """Work that failed; the message is one line."""


def apart(work: Callable[..., Any], *arguments: Any, log: Path | None = None) -> Any:
    """Do work of `trial` in a separate process, and wait for it.

    Args:
        work: a function of `trial`.
        arguments: its arguments.
        log: the file that its output is appended to.

    Returns:
        The result of the work.

    Raises:
        WorkError: it failed, or its process ended without an answer.
        Interrupted: a signal came; it was passed on, and the work has stopped.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([child.__name__, trial.__name__])
    answers, theirs = context.Pipe(duplex=False)
    process = context.Process(target=child.answer, args=(work, arguments, log and str(log), theirs))
    with Interrupts():
        with _known_start_method():
            process.start()
        theirs.close()
        try:
            connection.wait([process.sentinel, answers])
            kind, result = _received(answers)
            process.join()
        except Interrupted:
            if process.pid is not None:
                os.kill(process.pid, signal.SIGTERM)
                process.join()
            raise
    if kind == "done":
        return result
    raise WorkError(result if kind == "failed" else _ended(process.exitcode or 0, log))


@contextmanager
def _known_start_method() -> Iterator[None]:
    """Set the start method to `forkserver` while a process starts.

    A process inherits the method of its parent, and the fork server does not know joblib's.
    """
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("forkserver", force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)


def _received(answers: "connection.Connection[None, tuple[str, Any]]") -> tuple[str, Any]:
    """Return the answer of a process; empty where it ended without one."""
    with suppress(EOFError):
        if answers.poll():
            return answers.recv()
    return "", None


def _ended(status: int, log: Path | None) -> str:
    """Return how a process ended without an answer."""
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
    return f"its process {how}{f'; its output is in {log}' if log else ''}"
