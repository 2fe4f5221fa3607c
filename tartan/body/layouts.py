"""Layouts that are made before the pass that needs them, in another thread."""

from threading import Lock
from typing import Any

from tartan.body.kernels.layout import Layout

Key = tuple[tuple[int, ...], bool]
"""Lengths of sequences, and whether they are causal."""


class Layouts:
    """Keeps layouts of sequences by their lengths, of two steps; any thread may use it."""

    def __init__(self) -> None:
        self._now: dict[Key, Layout] = {}
        self._before: dict[Key, Layout] = {}
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: a copy of a body, in this process or another one, makes its own."""
        return {}

    def __setstate__(self, _: dict[str, Any]) -> None:
        """Start without layouts."""
        self.__init__()  # type: ignore[misc]

    def begin_step(self) -> None:
        """Begin the layouts of a step, while those of the step before may still be read.

        Older ones are dropped: with masks of windows, they take much of a device's memory.
        """
        with self._lock:
            self._before, self._now = self._now, {}

    def keep(self, layout: Layout) -> None:
        """Keep the layout of sequences that a later pass reads."""
        with self._lock:
            self._now[tuple(layout.lengths), layout.causal] = layout

    def find(self, lengths: tuple[int, ...], causal: bool) -> Layout | None:
        """Return the layout that is kept for such sequences; None if there is none."""
        key = lengths, causal
        with self._lock:
            return self._now.get(key) or self._before.get(key)
