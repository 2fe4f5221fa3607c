"""Directories for unfinished files: locked by the process that fills them, removed once it died.

What they hold can be read back as text, so nothing of it may stay after a kill.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import IO

from tartan.locking import try_lock

PREFIX = ".tartan-"
LOCK = "lock"
ABANDONED = 24 * 60 * 60
"""Seconds after which a file without a lock belongs to no process."""


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """Make a directory for a block, and remove it afterwards. OSError where there cannot be one."""
    while True:
        directory = Path(mkdtemp(dir=parent, prefix=PREFIX))
        try:
            with (directory / LOCK).open("w") as file:
                if not _hold(file):
                    continue  # another process swept before it was locked
                yield directory
                return
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def sweep(parent: Path, *patterns: str) -> int:
    """Remove what processes that were killed left unfinished; return how many there were.

    Where the file system has no locks, or a directory has none yet, its age decides. What belongs
    to other users is left alone.

    Args:
        parent: the directory that is swept.
        patterns: of other names that unfinished files may have there.
    """
    removed = 0
    for left in (path for name in (f"{PREFIX}*", *patterns) for path in parent.glob(name)):
        with suppress(OSError):
            removed += _remove(left)
    return removed


def _hold(file: IO[str]) -> bool:
    """Lock a new file; False if another process has locked it to remove it."""
    try:
        try_lock(file)
    except BlockingIOError:
        return False
    return Path(file.name).exists()


def _remove(left: Path) -> bool:
    """Remove one directory or file if its process is dead."""
    old = time.time() - left.stat().st_mtime > ABANDONED
    if not left.is_dir():
        if old:
            left.unlink()
        return old
    try:
        with (left / LOCK).open("r+") as file:
            dead = try_lock(file) or old
            if dead:
                shutil.rmtree(left)
            return dead
    except BlockingIOError:
        return False
    except FileNotFoundError:
        if old:
            shutil.rmtree(left)
        return old
