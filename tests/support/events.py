"""Kill a command at its n-th file-system event.

Events are those that change files below one directory. Python's audit hooks announce most of them
(`open`, `os.rename`, `os.remove`, ...); `os.fsync` and the writers that are not Python announce
themselves once they are wrapped. An event is announced before it happens, so a process that is
killed at event n has done the n - 1 before it. A file that is opened for writing makes two further
events: it is there and empty, and half of it is written.
"""

import mmap
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES: dict[str, list[tuple[int, int | None]]] = {
    "os.rename": [(0, 2), (1, 3)], "os.remove": [(0, 1)], "os.rmdir": [(0, 1)],
    "os.mkdir": [(0, 2)], "os.link": [(0, 2), (1, 3)], "os.symlink": [(1, 2)],
    "os.truncate": [(0, None)],
}  # fmt: skip
"""Audit events that change a file or directory: which arguments are paths, and which the open
directories that these are relative to."""


class Events:
    """Counts the events of a process and of those it starts; kills all of them at one."""

    def __init__(self, place: Path, at: int = 0, log: Path | None = None) -> None:
        """Begin to count.

        Args:
            place: the directory; events elsewhere do not count.
            at: the event to die at; 0 for none.
            log: where each event is written to, a line each.
        """
        self._place, self._at = place.resolve(), at
        self._root = os.getpid()
        self._number = mmap.mmap(-1, 8)  # shared with processes that are forked
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if log else None
        self._quiet = False
        self._half: tuple[Path, int] | None = None
        sys.addaudithook(self._hear)
        _wrap_native(self._opens)
        self._fsync, os.fsync = os.fsync, self._flushes

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take in an audit event."""
        if self._quiet:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes) and flags & WRITES:
                self._opens(path, bool(flags & os.O_TRUNC) or bool(flags & os.O_EXCL))
        elif event in CHANGES:
            for path, folder in CHANGES[event]:
                base = -1 if folder is None else arguments[folder]
                if inside := self._inside(arguments[path], base):
                    self._happens(event, inside)
                    return

    def _opens(self, path: str | bytes, anew: bool = True) -> None:
        """Count a file that is opened for writing; `anew` where nothing of it stays."""
        inside = self._inside(path)
        if inside is None or inside.is_dir():  # `tempfile` opens a file by its directory first
            return
        self._happens("open", inside)
        size = inside.stat().st_size if inside.exists() and not anew else 0
        self._happens("created", inside, partial(_cut, inside, size))
        self._half = inside, size

    def _flushes(self, descriptor: int) -> None:
        """Count `os.fsync`."""
        if inside := self._inside(_descriptor(descriptor)):
            self._happens("os.fsync", inside)
        self._fsync(descriptor)

    def _happens(self, event: str, path: Path, act: Callable[[], None] = lambda: None) -> None:
        """Count an event, and one of the file that was opened before and may be half written."""
        self._quiet = True
        if half := self._half:
            self._half = None
            if half[0].is_file():
                middle = (half[1] + half[0].stat().st_size) // 2
                self._count("half", half[0], partial(_cut, half[0], middle))
        self._count(event, path, act)
        self._quiet = False

    def _count(self, event: str, path: Path, act: Callable[[], None]) -> None:
        number = int.from_bytes(self._number[:8], "big") + 1
        self._number[:8] = number.to_bytes(8, "big")
        if self._log is not None:
            os.write(self._log, f"{event}\t{path.relative_to(self._place)}\n".encode())
        if number == self._at:
            act()
            os.kill(self._root, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    def _inside(self, path: Any, folder: int = -1) -> Path | None:
        """A path, absolute, if it is below the directory."""
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        base = _descriptor(folder) if folder >= 0 else Path.cwd()
        whole = Path(os.path.normpath(base / os.fsdecode(path)))
        return whole if whole.is_relative_to(self._place) and whole != self._place else None


def _descriptor(number: int) -> Path:
    """What an open file or directory is called."""
    return Path(f"/proc/self/fd/{number}").readlink()


def _cut(path: Path, size: int) -> None:
    """Leave so many bytes of a file, which is made where it is not there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    os.ftruncate(descriptor, size)
    os.close(descriptor)


def _wrap_native(opens: Callable[[str], None]) -> None:
    """Have writers that are not Python announce the files they open."""
    import safetensors.torch  # noqa: PLC0415
    from datasets.arrow_writer import ArrowWriter  # noqa: PLC0415

    serialize, init = safetensors.torch.serialize_file, ArrowWriter.__init__

    @wraps(serialize)
    def serialize_file(tensors: Any, filename: Any, *rest: Any, **more: Any) -> None:
        opens(os.fspath(filename))
        serialize(tensors, filename, *rest, **more)

    @wraps(init)
    def begin(self: Any, *arguments: Any, **more: Any) -> None:
        if (path := more.get("path")) is not None:
            opens(path)
        init(self, *arguments, **more)

    safetensors.torch.serialize_file = serialize_file
    ArrowWriter.__init__ = begin


def kinds(log: Path, kind: Callable[[str], str]) -> Sequence[str]:
    """Of each event of a log, in order, what its path is a part of."""
    return [kind(line.split("\t")[1]) for line in log.read_text().splitlines()]
