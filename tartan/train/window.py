"""Training metrics between two lines of the record."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tartan.weighting import Signals


class Window:
    """Means of training metrics since the last line; adding to them waits for no device."""

    def __init__(self, names: Sequence[str], *, samples: bool) -> None:
        """Begin with nothing; `samples` is whether the weighting chooses what a step computes."""
        self._names, self._samples = tuple(names), samples
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, signals: Signals, metrics: Mapping[str, Tensor], computed: Sequence[str]) -> None:
        """Add a step's signals.

        Args:
            signals: measured in the step. If the weighting chooses the objectives of a step, the
                line has `train/active/<objective>`, the share of steps that computed it, and losses
                and alignments are means over these steps; weights are means over all steps.
            metrics: of the step, by `<metric>/<objective>`.
            computed: the names of the objectives that the step computed.
        """
        measured = {
            "loss": signals.losses,
            "weight": signals.weights,
            "alignment": signals.alignment,
        }
        if self._samples:
            every = torch.ones_like(signals.weights)
            measured["active"] = every if signals.active is None else signals.active.to(every)
        for key, values in measured.items():
            if values is not None:
                for name, value in zip(self._names, values, strict=True):
                    if name in computed or key in ("weight", "active"):
                        self._count(f"train/{key}/{name}", value)
        for key, value in metrics.items():
            self._count(f"train/{key}", value)

    def means(self) -> dict[str, float]:
        """Return the means by name; this waits for the device, once."""
        if not self._sums:
            return {}
        device = next(iter(self._sums.values())).device
        sums = torch.stack([value.to(device).double() for value in self._sums.values()]).tolist()
        return {k: total / self._counts[k] for k, total in zip(self._sums, sums, strict=True)}

    def clear(self) -> None:
        """Start again from nothing."""
        self._sums, self._counts = {}, {}

    def state_dict(self) -> dict[str, object]:
        """Return sums and counts so far."""
        return {"sums": dict(self._sums), "counts": dict(self._counts)}

    def load_state_dict(self, state: Mapping[str, dict[str, object]]) -> None:
        """Load a `state_dict`."""
        self._sums, self._counts = dict(state["sums"]), dict(state["counts"])  # type: ignore[arg-type]

    def _count(self, key: str, value: Tensor) -> None:
        self._sums[key] = self._sums[key] + value if key in self._sums else value.clone()
        self._counts[key] = self._counts.get(key, 0) + 1
