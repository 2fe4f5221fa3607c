"""Files that are whole or not there: written beside their names, flushed to disk, renamed."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from tartan.errors import StorageError


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is never half there. StorageError where it cannot be written."""
    beside = path.with_name(f".{path.name}.partial")
    with writing(path):
        try:
            beside.write_text(text, encoding="utf-8")
            _flush(beside)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _flush(path.parent)


def write_whole(directory: Path, write: Callable[[Path], None]) -> None:
    """Write a directory beside its final name, flush it to disk, and rename it into place.

    What had the name before is replaced at the end. A process that dies between the two renames
    leaves it under another name, where `recover` finds it.

    Args:
        directory: the final name; its parents are made.
        write: fills the directory it is given with files.

    Raises:
        StorageError: it cannot be written. What was there before stays as it was.
    """
    beside, replaced = _beside(directory, "partial"), _beside(directory, "replaced")
    with writing(directory):
        shutil.rmtree(beside, ignore_errors=True)
        try:
            beside.mkdir(parents=True)
            write(beside)
            for path in (*beside.iterdir(), beside):
                _flush(path)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        shutil.rmtree(replaced, ignore_errors=True)
        if directory.exists():
            directory.rename(replaced)  # a full directory cannot be renamed over another
        beside.rename(directory)
        _flush(directory.parent)
        shutil.rmtree(replaced, ignore_errors=True)


def recover(parent: Path) -> None:
    """Finish or undo what processes that died in `write_whole` left behind in a directory."""
    for replaced in parent.glob(".*.replaced"):
        directory = parent / replaced.name.removeprefix(".").removesuffix(".replaced")
        if directory.exists():
            shutil.rmtree(replaced)
        else:
            replaced.rename(directory)
    for partial in parent.glob(".*.partial"):
        shutil.rmtree(partial) if partial.is_dir() else partial.unlink()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """StorageError that names a path, where the block cannot write it."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = _unwritten(error)
        if reason is None:
            raise
        raise StorageError(
            f"{path} cannot be written ({reason}): make room for it, then go on; what was "
            "written before stays"
        ) from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unwritten(error: BaseException) -> str | None:
    """Why a file could not be written; None where that is not what went wrong.

    safetensors and torch.save put the system's answer into words, or lose it.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return cause.strerror or str(cause)
        cause = cause.__context__
    if isinstance(error, SafetensorError) or "inline_container" in str(error):
        return str(error).splitlines()[0]
    return None


def _beside(directory: Path, purpose: str) -> Path:
    """A hidden name beside a directory's own."""
    return directory.with_name(f".{directory.name}.{purpose}")


def _flush(path: Path) -> None:
    """Have the system write a file or directory to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
