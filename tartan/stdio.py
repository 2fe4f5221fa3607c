"""Standard output and error that never end a program: what cannot be written there is dropped.

A reader that closes its end of a pipe, a full device, a terminal that was closed, a console without
the characters that are printed: none of them may stop training, whose results are in files.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

CLOSED = frozenset({errno.EPIPE, errno.EBADF, errno.EIO, errno.ECONNRESET, errno.ESHUTDOWN})
"""The system's errors where nobody reads any more: a pipe, terminal or connection was closed."""


class Lossy:
    """A text stream whose `write` and `flush` do not fail; the rest is the stream's own.

    Characters that the stream's encoding lacks are written as escapes.

    Attributes:
        lost: why something was dropped, as an error number; None while nothing was.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: int | None = None
        with suppress(AttributeError, ValueError, OSError):
            if stream.errors == "strict":
                stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or drop it."""
        try:
            self._stream.write(text)
        except (OSError, ValueError) as error:
            self._lose(error)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write texts, or drop them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush what was written, or drop it."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._lose(error)

    def finish(self) -> None:
        """Flush for the last time; what is left in a buffer is not tried again at exit."""
        self.flush()
        if self.lost is not None:
            self._discard()

    def _lose(self, error: Exception) -> None:
        """Remember an error; a stream that nobody reads any more goes nowhere from now on."""
        self.lost = getattr(error, "errno", None) or errno.EBADF
        if self.lost in CLOSED:
            self._discard()

    def _discard(self) -> None:
        """Direct the stream's descriptor, and so other code's output and buffers, to nowhere."""
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextmanager
def lossy() -> Iterator[tuple[Lossy, Lossy]]:
    """Through a block, have standard output and error drop what cannot be written."""
    _open_standard_descriptors()
    before = sys.stdout, sys.stderr
    out, err = (Lossy(stream or _nowhere()) for stream in before)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    try:
        yield out, err
    finally:
        out.finish()
        err.finish()
        if sys.stdout is cast(TextIO, out):
            sys.stdout = before[0]
        if sys.stderr is cast(TextIO, err):
            sys.stderr = before[1]


def report_loss(out: Lossy, continues: bool) -> bool:
    """Report on standard error that output was lost, unless its reader had seen enough.

    Args:
        out: standard output.
        continues: whether the command's work was done all the same.

    Returns:
        Whether it was reported.
    """
    out.flush()
    if out.lost is None or out.lost in CLOSED:
        return False
    rest = "; everything else was done, and its files are complete" if continues else ""
    print(
        f"tartan: standard output cannot be written ({os.strerror(out.lost)}){rest}",
        file=sys.stderr,
    )
    return True


def _open_standard_descriptors() -> None:
    """Open descriptors 0 to 2 where the shell closed them: no file of a run may get such a number.

    What libraries print to these numbers would go into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)


def _nowhere() -> TextIO:
    """Return a stream for a standard stream that was closed."""
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - as long as the process
