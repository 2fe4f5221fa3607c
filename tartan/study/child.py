"""A separate process of a study: what it answers, where it prints, and when it ends.

In a separate process each run has the whole memory and reports its own peak; where it is killed or
crashes, the study continues. The processes are forked from a server that has imported what they
need (`worker.py`) and computed nothing, so that starting one takes no time.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Any

from tartan.config.store import register
from tartan.distributed.join import leaving
from tartan.errors import Interrupted, PeerError, TartanError, message_of, with_type
from tartan.files import open_own, writing
from tartan.plugins import discover
from tartan.stdio import lossy
from tartan.train.memory import keep_freed_memory


def answer(
    work: Callable[..., Any],
    arguments: Sequence[Any],
    log: str | None,
    environment: Mapping[str, str],
    answers: "connection.Connection[tuple[str, Any], None]",
) -> None:
    """Do work in this process, and send `done` and its result, or `failed` and a line.

    Args:
        work: a function of `worker`.
        arguments: its arguments.
        log: the file that output is appended to; None to leave the streams as they are.
        environment: further variables: the process's GPUs, and its place among those of a run.
        answers: the pipe that the answer is sent to.
    """
    os.setpgrp()  # Ctrl-C is for the study, which passes it on
    die_with_parent()
    keep_freed_memory()
    os.environ.update(environment)
    with leaving() if "RANK" in environment else nullcontext():
        with lossy():
            status = _answer(work, arguments, log, answers)
        sys.exit(status)


def _answer(
    work: Callable[..., Any],
    arguments: Sequence[Any],
    log: str | None,
    answers: "connection.Connection[tuple[str, Any], None]",
) -> int:
    """Do the work of `answer`; return the exit status."""
    try:
        if log is not None:
            _print_to(log)
        register(discover())
        answers.send(("done", work(*arguments)))
    except PeerError as failed:
        answers.send(("peer", None))
        return failed.status
    except TartanError as error:
        if log is not None:
            print(f"tartan: {message_of(error)}", file=sys.stderr)
        answers.send(("failed", message_of(error)))
        return 2
    except Interrupted as stopped:
        print(f"tartan: {stopped}", file=sys.stderr)
        return stopped.status
    except Exception as error:
        traceback.print_exc()
        answers.send(("failed", with_type(error)))
        return 1
    return 0


@cache
def die_with_parent(number: int | None = None) -> None:
    """From now on, end this process when the one that started it has ended.

    Otherwise a run would keep its directory locked when the study is started again.

    Args:
        number: the parent's, where it did not start this process by way of `multiprocessing`.
    """
    threading.Thread(target=_end_after_parent, args=(number,), daemon=True).start()


def _end_after_parent(number: int | None) -> None:
    """Wait until the parent has ended, then end this process."""
    parent = parent_process()
    if number is None and parent is not None:
        connection.wait([parent.sentinel])
    while os.getppid() == number:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


def _print_to(log: str) -> None:
    """Append everything that is printed from here on to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    with writing(Path(log)):
        file = open_own(Path(log))
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
