"""Which objectives each step computes, and how many steps each has missed."""

from collections.abc import Mapping

from tartan.errors import PluginError
from tartan.seeding import generator
from tartan.weighting import Weighting, samples


class Turns:
    """Chooses the objectives of each step of a stage, as its weighting says.

    An objective that a step does not compute misses it: the batches of its next turn are those that
    this step would have read.

    Attributes:
        missed: by objective, the steps of the run before the current one that it missed.
        samples: whether the weighting chooses; otherwise every step computes all.
    """

    def __init__(
        self, names: tuple[str, ...], weighting: Weighting, seed: int, missed: Mapping[str, int]
    ) -> None:
        self.missed = dict(missed)
        self.samples = samples(type(weighting))
        self._names, self._weighting, self._seed = names, weighting, seed
        self._made: tuple[int, tuple[int, ...] | None] | None = None

    def indices(self, step: int) -> tuple[int, ...] | None:
        """Return the indices of the objectives that a step computes; None for all.

        Later calls for the same step return the same, also once the weighting has learned from it.

        Raises:
            PluginError: the weighting's answer is not valid.
        """
        if not self.samples:
            return None
        if self._made is None or self._made[0] != step:
            self._made = step, self._choose(step)
        return self._made[1]

    def names(self, step: int) -> tuple[str, ...]:
        """Return the names of the objectives that a step computes, the primary first."""
        indices = self.indices(step)
        return self._names if indices is None else tuple(self._names[index] for index in indices)

    def count(self, step: int) -> dict[str, int]:
        """Count who missed a step that has been taken or skipped, and return `missed`."""
        computed = self.names(step)
        new = {name: self.missed.get(name, 0) + 1 for name in self._names if name not in computed}
        self.missed = self.missed | new
        return self.missed

    def _choose(self, step: int) -> tuple[int, ...] | None:
        """Ask the weighting for a step's objectives."""
        found = self._weighting.active(step, generator(self._seed, "active", step))
        if found is None:
            return None
        indices = tuple(found)
        if indices[:1] != (0,) or indices != tuple(
            index for index in range(len(self._names)) if index in indices
        ):
            raise PluginError(
                f"{type(self._weighting).__name__}.active({step}) returned {list(indices)}: it "
                f"must return ascending indices from 0 to {len(self._names) - 1}, each once, with 0"
            )
        return indices
