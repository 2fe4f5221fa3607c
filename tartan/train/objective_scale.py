"""The scale of an objective's loss, and how it changes over a stage."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tartan.checks import check_choice
from tartan.errors import ConfigError

SCHEDULES: Mapping[str, Callable[[int, int], float]] = {
    "constant": lambda *_: 1.0,
    "linear": lambda taken, steps: 1 - taken / steps,
    "cosine": lambda taken, steps: (1 + math.cos(math.pi * taken / steps)) / 2,
    "linear_up": lambda taken, steps: (taken + 1) / steps,
    "cosine_up": lambda taken, steps: (1 - math.cos(math.pi * (taken + 1) / steps)) / 2,
}
"""The share of the scale in a step, in (0, 1], from the steps taken before it and those of the
stage: `linear` and `cosine` begin at 1 and decrease towards 0, `linear_up` and `cosine_up` end at
1."""
LARGEST = 1e6
"""The largest scale: the multiplied loss should still fit into float32."""


@dataclass(frozen=True)
class ObjectiveScale:
    """What an objective's loss is multiplied by, before the weighting sees it.

    Attributes:
        scale: the factor, in (0, 1e6].
        schedule: how it changes over the steps of each stage: a key of `SCHEDULES`.
    """

    scale: float = 1.0
    schedule: str = "constant"

    def factor(self, taken: int, steps: int) -> float:
        """Return the factor of a step that follows `taken` steps of a stage of `steps` steps."""
        return self.scale * SCHEDULES[self.schedule](taken, steps)

    def check(self, where: str) -> None:
        """Raise ConfigError unless the values have a meaning; `where` names the objective."""
        if not 0 < self.scale <= LARGEST:
            raise ConfigError(
                f"{where}.scale must be in (0, {LARGEST:g}], got {self.scale:g}: to train without "
                "an objective, leave it out."
            )
        check_choice(f"{where}.schedule", self.schedule, SCHEDULES)
