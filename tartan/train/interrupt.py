"""Signals that ask a run to stop: it saves the last step, and ends.

Ctrl-C (SIGINT) and SIGTERM; SIGHUP, of a terminal or connection that was closed; and what clusters
send before a job's time is over: SIGUSR1, SIGUSR2, SIGXCPU.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Self

from tartan.errors import Interrupted

ALWAYS = (signal.SIGINT, signal.SIGTERM)
"""Signals that are caught unless the process ignores them."""
UNCLAIMED = tuple(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
    if hasattr(signal, name)
)
"""Signals that are caught where they would end the process: not if other code handles them."""


class Interrupts:
    """Turns signals into `Interrupted`: at once, or between two steps while training.

    They are caught in the main thread only. A signal that the process ignores (SIGHUP under
    `nohup`, SIGINT of a shell's background job) stays ignored.

    Attributes:
        received: the signal that waits for training to stop; None where there is none.
    """

    def __init__(self, prints: bool = True, ahead: Callable[[], None] | None = None) -> None:
        """Begin.

        Args:
            prints: whether this process is to print that Ctrl-C was received.
            ahead: what to do before `Interrupted` is raised at once; a second signal does not wait
                for it.
        """
        self._prints, self._ahead = prints, ahead
        self.received: int | None = None
        self._waits = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        """Catch the signals."""
        if threading.current_thread() is threading.main_thread():
            for number in (*ALWAYS, *UNCLAIMED):
                if _is_free(number):
                    self._before[number] = signal.signal(number, self._catch)
        return self

    def __exit__(self, *exception: object) -> None:
        """Handle the signals as before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Through a block, keep a signal in `received`; a second Ctrl-C still stops at once."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
        if self.received is not None:
            raise Interrupted(self.received, "training is complete and saved")

    def _catch(self, number: int, _: FrameType | None) -> None:
        """Keep a signal where it can wait; else stop."""
        if self._waits and number != signal.SIGINT:
            self.received = number
        elif self._waits and self.received is None:
            self.received = number
            # Printing is not safe here: the signal may have come while something was printed.
            with suppress(OSError):
                line = b"tartan: stopping after this step; Ctrl-C again stops at once\n"
                os.write(2, line if self._prints else b"")
        else:
            ahead, self._ahead = self._ahead, None
            if ahead:
                ahead()
            raise Interrupted(number)


def _is_free(number: int) -> bool:
    """Return whether a signal may be caught."""
    handler = signal.getsignal(number)
    if handler is None:  # set by other code than Python's, which cannot restore it
        return False
    if number in ALWAYS:
        return handler is not signal.SIG_IGN
    nested = isinstance(getattr(handler, "__self__", None), Interrupts)
    return handler is signal.SIG_DFL or nested
