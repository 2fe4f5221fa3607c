"""SIGINT and SIGTERM while a run lasts."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from tartan.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Turns the two signals into `Interrupted`: at once, or where training can be gone on from.

    They are caught in the main thread alone, and not where the process was told to ignore them.

    Attributes:
        received: the signal that waits for training to stop; None where there is none.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._waits = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        """Catch the signals."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._catch)
        return self

    def __exit__(self, *exception: object) -> None:
        """Handle the signals as before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Through a block, a signal is kept in `received`; a second Ctrl-C still stops at once."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
        if self.received is not None:
            raise Interrupted(self.received, "training is over and saved")

    def _catch(self, number: int, _: FrameType | None) -> None:
        """Keep the first signal where it can wait; else stop."""
        if self._waits and number == signal.SIGTERM:
            self.received = number
        elif self._waits and self.received is None:
            self.received = number
            # Printing is not safe here: the signal may have come while something was printed.
            os.write(2, b"tartan: stopping after this step; Ctrl-C again stops at once\n")
        else:
            raise Interrupted(number)
