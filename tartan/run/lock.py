"""One process a run directory: a lock that the system releases when its holder dies."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tartan.errors import BusyError
from tartan.files import writing

LOCK = ".lock"


@contextmanager
def locked(directory: Path, option: str = "run_dir") -> Iterator[None]:
    """Hold a run's or a study's directory through a block; it is made where it has to be.

    Args:
        directory: the directory.
        option: what chooses it, for errors.

    Raises:
        BusyError: another process holds it.
        StorageError: nothing can be written there.
    """
    path = directory / LOCK
    with writing(path):
        directory.mkdir(parents=True, exist_ok=True)
        file = _hold(path, option)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _hold(path: Path, option: str) -> TextIO:
    """The lock file, locked. BusyError if another process has locked it."""
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _busy(file, path.parent, option) from error
        if _is_at(file, path):
            break
        file.close()  # its holder took it away between our opening and locking it
    file.truncate(0)
    json.dump({"pid": os.getpid(), "host": socket.gethostname()}, file)
    file.flush()
    return file


def _busy(file: TextIO, directory: Path, option: str) -> BusyError:
    """Who holds a directory, as far as its lock file says."""
    with file:
        file.seek(0)
        try:
            holder = json.load(file)
            who = f"process {holder['pid']} on {holder['host']}"
        except (ValueError, KeyError, TypeError):  # it is about to write its name
            who = "another process"
    return BusyError(
        f"{directory} is in use by {who}: wait until that run ends, or choose another {option}"
    )


def _is_at(file: TextIO, path: Path) -> bool:
    """Whether an open file is the one that has a name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
