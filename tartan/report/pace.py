"""How fast a run is, and how long it will take: all of its stages, not only the current one."""

from collections.abc import Sequence

FIRST, EVERY = 10.0, 30.0
"""Seconds until the first line about progress, and from one to the next at least."""
SHARE = 0.05
"""The least part of the time taken so far that lies between two lines."""


class Pace:
    """Counts steps and the seconds that they take, evaluations and checkpoints included.

    Attributes:
        taken: steps of this process so far.
    """

    def __init__(self, stages: Sequence[int]) -> None:
        """Begin.

        Args:
            stages: the budget of each stage that is not finished, in steps; none if not known.
        """
        self._later = list(stages)
        self._left = 0
        self.taken = 0
        self._began = self._said = self._now = 0.0

    def stage(self, steps: int, now: float) -> None:
        """Begin a stage with a number of steps to take; `now` is in seconds."""
        self._later = self._later[1:]
        self._left = steps
        if not self.taken:
            self._began = now
        self._said = self._now = now

    def step(self, now: float) -> None:
        """Count a step that has been taken."""
        self.taken += 1
        self._left = max(self._left - 1, 0)
        self._now = now

    @property
    def seconds_a_step(self) -> float | None:
        """The mean time of a step, with all that is done between steps; None before the first."""
        return (self._now - self._began) / self.taken if self.taken else None

    @property
    def left(self) -> float | None:
        """The seconds left if steps take as long as before, and none is saved by early stopping.

        None before the first step.
        """
        seconds = self.seconds_a_step
        return None if seconds is None else seconds * (self._left + sum(self._later))

    def due(self) -> bool:
        """Return whether a line about progress is due; from then on, the next one is."""
        elapsed = self._now - self._began
        since = self._now - self._said
        wait = FIRST if self._said == self._began else max(EVERY, SHARE * elapsed)
        if since < wait:
            return False
        self._said = self._now
        return True


def estimated(seconds: float) -> str:
    """Return a time in words, to a precision that an estimate has.

    >>> estimated(40), estimated(400), estimated(9000), estimated(200000)
    ('40 s', '7 min', '2 h 30 min', '2 d 8 h')
    """
    if seconds < 90:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h"
