"""Layouts that are made before the pass that needs them, in another thread."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

import torch

from tartan.body.kernels.layout import Layout
from tartan.body.reading import lay_out

KEPT = 256
"""Layouts that are kept: two steps of 60 micro-batches with two objectives. One that was dropped
is made again when it is read."""

Key = tuple[tuple[int, ...], bool]
"""Lengths of sequences, and whether they are causal."""


class Layouts:
    """Layouts of sequences by their lengths. Copies to a GPU are queued where they are made."""

    def __init__(self) -> None:
        self._made: OrderedDict[Key, Layout] = OrderedDict()
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: a copy of a body, in this process or another one, makes its own."""
        return {}

    def __setstate__(self, _: dict[str, Any]) -> None:
        """Start without layouts."""
        self.__init__()  # type: ignore[misc]

    def prepare(
        self,
        lengths: Sequence[int],
        device: torch.device,
        *,
        causal: bool,
        varlen: bool,
        few_sizes: bool,
    ) -> None:
        """Make the layout of sequences that a later pass reads; arguments as in `lay_out`."""
        layout = lay_out(tuple(lengths), device, causal=causal, varlen=varlen, few_sizes=few_sizes)
        with self._lock:
            self._made[tuple(lengths), causal] = layout
            while len(self._made) > KEPT:
                self._made.popitem(last=False)

    def get(self, lengths: tuple[int, ...], causal: bool) -> Layout | None:
        """Return the layout that was made for such sequences; None if none was."""
        with self._lock:
            return self._made.get((lengths, causal))
