"""The factor of losses in float16, whose gradients would otherwise round to 0.

As torch's GradScaler, but a step that overflows is taken again with a smaller factor instead of
being skipped: a step's choices depend on its number alone, so that nothing else changes.
"""

from collections.abc import Mapping

from torch import Tensor

from tartan.train.finite import non_finite
from tartan.weighting import Signals

FIRST, LEAST = 2.0**16, 1.0
PATIENCE = 2000
"""Steps in a row without overflow after which the factor is doubled."""


class Fp16Scale:
    """The factor, halved where gradients overflow and doubled after many steps without.

    Attributes:
        factor: what losses are multiplied by before the backward pass, a power of 2.
    """

    def __init__(self) -> None:
        self.factor = FIRST
        self._steps = 0
        self._before: float | None = None  # the factor that the step began with, once halved

    def overflows(self, signals: Signals, norms: Tensor) -> bool:
        """Return True if a step has to be taken again with the factor it has from now on.

        The host waits for the step. A loss that is not finite, or gradients that are not with the
        least factor, have another cause: then the answer is False, and the factor is again the one
        that the step began with.

        Args:
            signals: what was measured, with gradients divided by the factor.
            norms: [groups], the norms of the gradients that the optimiser reads.
        """
        before, self._before = self._before, None
        if non_finite(signals, norms):
            overflowed = bool(signals.losses.isfinite().all())
            if overflowed and self.factor > LEAST:
                self._before = before or self.factor
                self.factor, self._steps = self.factor / 2, 0
                return True
            self.factor = before or self.factor
            return False
        self._steps += 1
        if self._steps == PATIENCE:
            self.factor, self._steps = self.factor * 2, 0
        return False

    def state_dict(self) -> dict[str, float]:
        """Return factor and count."""
        return {"factor": self.factor, "steps": self._steps}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Load a `state_dict`."""
        self.factor, self._steps = state["factor"], int(state["steps"])
