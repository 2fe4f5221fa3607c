"""Layouts that are made before the pass that needs them, in another thread."""

from collections import OrderedDict
from threading import Lock
from typing import Any

from tartan.body.kernels.layout import Layout

KEPT = 256
"""Layouts that are kept: two steps of 60 micro-batches with two objectives. One that was dropped
is made again when it is read."""

Key = tuple[tuple[int, ...], bool]
"""Lengths of sequences, and whether they are causal."""


class Layouts:
    """Keeps layouts of sequences by their lengths; any thread may use it."""

    def __init__(self) -> None:
        self._made: OrderedDict[Key, Layout] = OrderedDict()
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: a copy of a body, in this process or another one, makes its own."""
        return {}

    def __setstate__(self, _: dict[str, Any]) -> None:
        """Start without layouts."""
        self.__init__()  # type: ignore[misc]

    def keep(self, layout: Layout) -> None:
        """Keep the layout of sequences that a later pass reads."""
        with self._lock:
            self._made[tuple(layout.lengths), layout.causal] = layout
            while len(self._made) > KEPT:
                self._made.popitem(last=False)

    def find(self, lengths: tuple[int, ...], causal: bool) -> Layout | None:
        """Return the layout that is kept for such sequences; None if there is none."""
        with self._lock:
            return self._made.get((lengths, causal))
