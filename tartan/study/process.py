"""Run a study's work in separate processes, and wait for them."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tartan.errors import Interrupted
from tartan.study import child, worker
from tartan.train.interrupt import Interrupts

OWN = ("tartan_objectives", "tartan_weightings")
"""Plugins that are imported once, before processes are forked. Plugins of others are imported after
that: they may use a GPU as they are imported, and then no process could be forked."""


class WorkError(Exception):
    """Work that failed; the message is one line."""


def apart(
    work: Callable[..., Any],
    *arguments: Any,
    log: Path | None = None,
    environments: Sequence[Mapping[str, str]] = ({},),
) -> Any:
    """Do work of `worker` in a separate process, or in several that meet, and wait for it.

    Args:
        work: a function of `worker`.
        arguments: its arguments.
        log: the file that its output is appended to.
        environments: for each process, further environment variables.

    Returns:
        The result of the work, of the first process.

    Raises:
        WorkError: it failed, or its process ended without an answer.
        Interrupted: a signal came; it was passed on, and the work has stopped.
    """
    context = multiprocessing.get_context("forkserver")
    own = (name for name in sorted(sys.modules) if name.startswith(OWN))
    context.set_forkserver_preload([child.__name__, worker.__name__, *own])
    started = []
    with Interrupts():
        try:
            with _known_start_method():
                for variables in environments:
                    answers, theirs = context.Pipe(duplex=False)
                    given = (work, arguments, log and str(log), dict(variables), theirs)
                    process = context.Process(target=child.answer, args=given)
                    process.start()
                    theirs.close()
                    started.append((process, answers))
            received = []
            for process, answers in started:
                connection.wait([process.sentinel, answers])
                received.append(_received(answers))
                process.join()
        except Interrupted:
            _stop([process for process, _ in started])
            raise
    if failed := [result for kind, result in received if kind == "failed"]:
        raise WorkError(failed[0])
    if all(kind == "done" for kind, _ in received):
        return received[0][1]
    statuses = [process.exitcode or 0 for process, _ in started]
    raise WorkError(_ended(min(statuses), log))  # negative: of one that was killed


def _stop(processes: Sequence[BaseProcess]) -> None:
    """Pass a signal on, and wait until the processes have stopped."""
    for process in processes:
        if process.pid is not None and process.exitcode is None:
            os.kill(process.pid, signal.SIGTERM)
    for process in processes:
        process.join()


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
