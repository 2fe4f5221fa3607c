"""Atomic files and directories: written beside their names, flushed to disk, renamed.

Names that the program writes to are never followed: a symbolic link, FIFO or hard link in place of
a file is replaced, and what it points to stays as it was.
"""

import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from safetensors import SafetensorError

from tartan.errors import StorageError, first_line

ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The system's errors where more room is needed."""
UNLINKED = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
"""The system's errors where a file system (exFAT, many of FUSE) has no hard links."""
GONE = frozenset({errno.ENOENT, errno.ESTALE, errno.ENXIO})
"""The system's errors where a directory was removed, renamed or unmounted."""


def write_text(path: Path, text: str) -> None:
    """Write a text atomically, into a directory that exists. StorageError if it is not writable."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically, into a directory that exists. StorageError if it is not writable."""
    beside = _beside(path, "partial")
    with writing(path):
        try:
            remove(beside)  # left by a process that was killed, or put there by someone else
            with create(beside) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _flush(path.parent)


def write_whole(directory: Path, write: Callable[[Path], None]) -> None:
    """Write a directory beside its final name, flush it to disk, and rename it into place.

    What had the name before is replaced at the end. A process that dies between the two renames
    leaves it under another name, where `recover` finds it. Files get the modes that the umask says.

    Args:
        directory: the final name, in a directory that exists: one that was removed is not made
            again, with nothing else in it.
        write: fills the directory it is given with files.

    Raises:
        StorageError: it cannot be written. What was there before stays as it was.
    """
    beside, replaced = _beside(directory, "partial"), _beside(directory, "replaced")
    with writing(directory):
        remove(beside)
        try:
            beside.mkdir()
            write(beside)
            _finish(beside)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        remove(replaced)
        if os.path.lexists(directory):
            directory.rename(replaced)  # a full directory cannot be renamed over another
        beside.rename(directory)
        _flush(directory.parent)
        remove(replaced)


def recover(parent: Path) -> None:
    """Finish or undo what processes that died in `write_whole` left behind in a directory."""
    for replaced in parent.glob(".*.replaced"):
        directory = parent / replaced.name.removeprefix(".").removesuffix(".replaced")
        if os.path.lexists(directory):
            remove(replaced)
        else:
            replaced.rename(directory)
    for partial in parent.glob(".*.partial"):
        remove(partial)


def create(path: Path) -> BinaryIO:
    """Create a file that is not there and open it for writing. FileExistsError if it is there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o666), "wb")


def publish(beside: Path, path: Path) -> None:
    """Give a complete file its name, which no other file has. FileExistsError if one has it."""
    try:
        os.link(beside, path)  # unlike a rename, it does not replace another file
    except OSError as error:
        if error.errno not in UNLINKED:
            raise
        create(path).close()  # the name is taken by an empty file, which may be replaced
        try:
            beside.replace(path)
        finally:
            if os.path.lexists(beside):  # it was not renamed: the name has the empty file
                path.unlink()
    else:
        beside.unlink()


def open_own(path: Path) -> int:
    """Open a regular file that nothing else names, or create it; return its descriptor.

    What already has the name is opened as it is, and nothing of it is changed.

    Raises:
        StorageError: the name belongs to a link, a FIFO, a device, a directory, or a file that has
            another name too.
        OSError: it cannot be opened.
    """
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _foreign(path) from error
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise _foreign(path)
    return descriptor


def _foreign(path: Path) -> StorageError:
    return StorageError(
        f"{path} is a link or not a regular file, and is not written to: remove it, then give the "
        "same command"
    )


def remove(path: Path) -> None:
    """Remove a file, link or directory, if there is one; links are not followed."""
    try:
        directory = stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return
    shutil.rmtree(path) if directory else path.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """StorageError that names a path, where the block cannot write it."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        found = _unwritten(error)
        if found is None:
            raise
        reason, remedy = found
        raise StorageError(f"{path} cannot be written ({reason}): {remedy}") from error


def check_writable(path: Path) -> None:
    """StorageError where nothing can be created at a path. Nothing is left behind.

    For a path that is written after a long computation.
    """
    with writing(path), TemporaryFile(dir=next(p for p in path.absolute().parents if p.exists())):
        pass


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading.

    Opening a FIFO would wait until somebody writes to it.

    Raises:
        OSError: the file does not exist or cannot be opened, or is a FIFO, device or directory.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_text(path: Path) -> str:
    """Return the text of a regular file in UTF-8. OSError or ValueError if it cannot be read."""
    with open_regular(path) as file:
        return file.read().decode()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a regular file, in hexadecimal. OSError if it cannot be read."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unwritten(error: BaseException) -> tuple[str, str] | None:
    """Return why a file was not written and what to do; None where that is not what went wrong.

    safetensors and torch.save put the system's answer into words, or lose it.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return cause.strerror or str(cause), _remedy(cause.errno)
        cause = cause.__context__
    if isinstance(error, SafetensorError) or "inline_container" in str(error):
        number = re.search(r"os error (\d+)", str(error))
        return first_line(error), _remedy(int(number[1]) if number else errno.ENOSPC)
    return None


def _remedy(number: int | None) -> str:
    """Return what to do about an error of the system, by its number."""
    if number in ROOM:
        return "make room, then give the same command; what was written before is kept"
    if number in GONE:
        return (
            "its directory was removed, renamed or unmounted; put it back, then give the same "
            "command, or choose another directory"
        )
    return (
        "make it writable, then give the same command, or choose another directory; what was "
        "written before is kept"
    )


def _finish(directory: Path) -> None:
    """Give files in a directory the modes that the umask says, and flush everything to disk.

    Libraries write some of them for their owner alone (safetensors: 0600).
    """
    mode = stat.S_IMODE(directory.stat().st_mode) & 0o666  # as `mkdir` made it: the umask is in it
    for path in (*directory.rglob("*"), directory):
        if path.is_file():
            path.chmod(mode)
        _flush(path)


def _beside(path: Path, purpose: str) -> Path:
    """Return a hidden name beside a path's own."""
    return path.with_name(f".{path.name}.{purpose}")


def _flush(path: Path) -> None:
    """Have the system write a file or directory to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
