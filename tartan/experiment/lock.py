"""One process a run directory: a lock that the system releases when its holder dies."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from tartan.errors import BusyError, StorageError
from tartan.files import open_own, writing
from tartan.locking import try_lock

LOCK = ".lock"
DIRECTORIES = (".hydra", "checkpoints", "figures", "tensorboard")
"""Subdirectories of a run or a study in which files are written one at a time."""


@contextmanager
def locked(directory: Path, option: str = "run_dir") -> Iterator[list[str]]:
    """Hold a run's or a study's directory through a block; it is made where it is missing.

    Args:
        directory: the directory.
        option: what chooses it, for errors.

    Yields:
        What the user should know, a line each: that the file system has no locks.

    Raises:
        BusyError: another process holds it.
        StorageError: nothing can be written there, or a link stands in place of a directory in it;
            or it was removed or renamed meanwhile.
    """
    path = directory / LOCK
    for name in DIRECTORIES:
        if (link := directory / name).is_symlink():
            raise StorageError(
                f"{link} is a link, and is not written to: remove it, then give the same command"
            )
    with writing(path):
        directory.mkdir(parents=True, exist_ok=True)
        file, held = _hold(path, option)
    try:
        yield [] if held else [_no_locks(directory)]
        if not _is_at(file, path):
            raise StorageError(
                f"{directory} was removed or renamed while it was in use: give the same command "
                f"to do what is missing, or choose another {option}"
            )
    finally:
        with suppress(OSError):  # a directory that cannot be written to now keeps its file
            if _is_at(file, path):
                path.unlink(missing_ok=True)
        file.close()


def holder(directory: Path) -> int | None:
    """Return the process on this machine that holds a run's or a study's directory, if one does."""
    with suppress(OSError), (directory / LOCK).open("r+", encoding="utf-8") as file:
        found = _holder(file)
        with suppress(OSError):  # it is locked, or the file system has no locks
            if try_lock(file):
                return None  # left by a process that was killed: its number may be another's now
        if found and _runs_here(found):
            return found[0]
    return None


def _hold(path: Path, option: str) -> tuple[TextIO, bool]:
    """Return the lock file, and whether it could be locked. BusyError if it is in use."""
    while True:
        file = os.fdopen(open_own(path), "a+", encoding="utf-8")
        try:
            held = try_lock(file)
        except BlockingIOError as error:
            with file:
                raise _busy(_holder(file), path.parent, option) from error
        except OSError:
            file.close()
            raise
        if _is_at(file, path):
            break
        file.close()  # its holder removed it after it was opened here
    holder = _holder(file)
    if not held and _runs_here(holder):
        file.close()
        raise _busy(holder, path.parent, option)
    file.truncate(0)
    json.dump({"pid": os.getpid(), "host": socket.gethostname()}, file)
    file.flush()
    return file, held


def _holder(file: TextIO) -> tuple[int, str] | None:
    """Return the process and host that a lock file names; None where it names none."""
    file.seek(0)
    try:
        content = json.load(file)
        return int(content["pid"]), str(content["host"])
    except (ValueError, LookupError, TypeError, RecursionError):  # it is about to write its name
        return None


def _runs_here(holder: tuple[int, str] | None) -> bool:
    """Return whether a process is on this machine and runs, other than this one."""
    if holder is None or holder[1] != socket.gethostname() or holder[0] in (0, os.getpid()):
        return False
    try:
        os.kill(holder[0], 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _busy(holder: tuple[int, str] | None, directory: Path, option: str) -> BusyError:
    """Return the error for a directory in use, with its holder if that is known."""
    who = f"process {holder[0]} on {holder[1]}" if holder else "another process"
    return BusyError(
        f"{directory} is in use by {who}: wait until that run ends, or choose another {option}"
    )


def _no_locks(directory: Path) -> str:
    return (
        f"The file system of {directory} has no locks: do not use the directory from another "
        "machine while this runs."
    )


def _is_at(file: TextIO, path: Path) -> bool:
    """Return whether an open file is the one that has a name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False
