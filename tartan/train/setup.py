"""What is trained, and what all stages of a run share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tartan.batch import Row
from tartan.data.stream import Stream
from tartan.distributed.ranks import Ranks
from tartan.train.model import JointModel
from tartan.train.objective_scale import ObjectiveScale
from tartan.train.runtime import Runtime
from tartan.weighting import Weighting


@dataclass(frozen=True)
class Setup:
    """Everything that is the same in every stage.

    Attributes:
        model: body and objectives.
        streams: each objective's batches, by name.
        make_weighting: makes a stage's weighting from `StagePlan.weighting` and objectives' names.
        dev: the dev split's rows.
        probed: by `ProbeOptions.split`, the rows that supply the dev gradient.
        runtime: device and precision.
        seed: all random choices follow from it.
        accumulate: micro-batches of each objective in a step.
        scales: of the losses, by name; an objective that is not in it has scale 1.
        late: whether a step that is not finite is reported by the step after it (see `Guard`).
        ranks: the processes that share its steps.
    """

    model: JointModel
    streams: Mapping[str, Stream]
    make_weighting: Callable[[Any, tuple[str, ...]], Weighting]
    dev: Sequence[Row]
    probed: Mapping[str, Sequence[Row]]
    runtime: Runtime
    seed: int
    accumulate: int
    scales: Mapping[str, ObjectiveScale] = field(default_factory=dict)
    late: bool = False
    ranks: Ranks = field(default_factory=Ranks)

    def primary_rows(self, steps: int) -> int:
        """Return how many rows of the end task its first steps read, repetitions counted."""
        return self.streams[self.model.primary].count(steps * self.accumulate)
