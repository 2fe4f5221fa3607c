"""Stages: spans of training, each with its objectives, weighting, optimiser and budget."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from tartan.batch import Row
from tartan.data.stream import Stream
from tartan.errors import ConfigError, suggest
from tartan.train import out_of_memory
from tartan.train.memory import TIDIED, give_back_memory
from tartan.train.model import JointModel
from tartan.train.optimiser import Optimiser, OptimiserOptions
from tartan.train.probe import DevGradient
from tartan.train.runtime import Runtime
from tartan.train.step import Step
from tartan.train.window import Window
from tartan.weighting import Cost, Needs, Signals, Weighting, cost

SELECTIONS = ("all", "primary", "auxiliary")


@dataclass
class StageOptions:
    """One stage of a schedule.

    Attributes:
        objectives: which train: `all`, `primary` or `auxiliary`.
        weighting: the plugin that weighs them, with its defaults; None for the run's own.
        steps: the budget.
        patience: evaluations without a better value after which the stage ends; 0 for never.
        optimizer: how parameters move.
    """

    objectives: str = "all"
    weighting: str | None = None
    steps: int = 0
    patience: int = 0
    optimizer: OptimiserOptions = field(default_factory=OptimiserOptions)

    def __post_init__(self) -> None:
        """ConfigError where a value has no meaning."""
        if self.objectives not in SELECTIONS:
            raise ConfigError(
                f"a stage's objectives are '{self.objectives}': "
                f"{suggest(self.objectives, SELECTIONS)}"
            )
        if self.steps < 0 or self.patience < 0:
            raise ConfigError("a stage's steps and patience must be at least 0")

    @property
    def evaluates(self) -> bool:
        """Whether the end task trains here, so that dev says something."""
        return self.objectives != "auxiliary"

    def select(self, model: JointModel) -> tuple[str, ...]:
        """The names of the objectives that train here, the primary first."""
        auxiliary = tuple(name for name in model.names if name != model.primary)
        return {"all": model.names, "primary": (model.primary,), "auxiliary": auxiliary}[
            self.objectives
        ]


@dataclass(frozen=True)
class Setup:
    """What is trained, on what, with what; the same in every stage.

    Attributes:
        model: body and objectives.
        streams: each objective's batches, by name.
        weighting: from a plugin's name (None: the run's own) and objectives' names to a weighting.
        dev: the dev split's rows.
        probed: the rows that supply the dev gradient.
        runtime: device and precision.
        seed: all random choices follow from it.
        accumulate: micro-batches of each objective in a step.
        late: whether a step that is not finite is told of by the step after it (see `Guard`).
    """

    model: JointModel
    streams: Mapping[str, Stream]
    weighting: Callable[[str | None, tuple[str, ...]], Weighting]
    dev: Sequence[Row]
    probed: Sequence[Row]
    runtime: Runtime
    seed: int
    accumulate: int
    late: bool = False


class Stage:
    """A stage under way: what it trains with, and all of its state but the parameters.

    Attributes:
        names: the objectives that train, the primary first.
        streams: their batches by name, numbered from the start of the run.
        weighting: weighs them.
        window: their metrics since the last line.
    """

    def __init__(self, setup: Setup, options: StageOptions, rested: int = 0) -> None:
        """Begin a stage.

        Args:
            setup: what is trained.
            options: the stage's.
            rested: how many steps of the run before it trained no end task: its batches begin
                after them, so that runs of one seed see the same ones whatever comes first.
        """
        model = setup.model
        self.names = options.select(model)
        self.streams = {name: setup.streams[name] for name in self.names}
        if model.primary in self.streams:
            batches = rested * setup.accumulate
            self.streams[model.primary] = setup.streams[model.primary].delayed(batches)
        self.weighting = setup.weighting(options.weighting, self.names)
        self.window = Window(self.names)
        self._setup = setup
        self._body, self._heads = model.shared(), model.heads(self.names)
        self._parameters = sum(p.nbytes for p in model.parameters())
        self._optimiser = Optimiser(
            self._body, self._heads, options.optimizer, options.steps, self.weighting
        )
        self._step = Step(
            model,
            self.streams,
            self.weighting,
            self._optimiser,
            _dev_gradient(setup, self.weighting),
            setup.runtime,
            accumulate=setup.accumulate,
            seed=setup.seed,
            late=setup.late,
        )

    @property
    def cost(self) -> Cost:
        """What a step costs at the most."""
        counted = cost(self.weighting.needs, len(self.names))
        body, heads = (sum(p.nbytes for p in part) for part in (self._body, self._heads))
        gradients, moments = counted.copies * body + heads, 2 * (body + heads)
        return replace(counted, memory=self._parameters + gradients + moments)

    @property
    def whole(self) -> bool:
        """Whether parameters and states are those after a step, not in the middle of one."""
        return self._step.whole and self._step.guard.sound

    def take(self, step: int) -> None:
        """Take the step of a number, counted from the start of the run.

        Raises:
            SpoiledError: it is not finite; late, the one before it.
            OutOfMemoryError: it takes too much memory.
        """
        try:
            self.window.add(*self._step(step))
            if self._setup.runtime.device.type == "cpu" and (step + 1) % TIDIED == 0:
                give_back_memory()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory.recognised(error):
                raise
            place, remedy = self._advice()
            raise out_of_memory.refusal(error, self._setup.runtime, place, remedy) from error

    def settle(self) -> None:
        """Make sure that every step taken is finite. SpoiledError if one is not."""
        self._step.guard.settle()

    def replay(self, name: str, number: int, rows: Sequence[int]) -> Tensor:
        """The summed loss, [], of some of an objective's examples, as in its micro-batch."""
        return self._step.replay(name, number, rows)

    def replay_dev(self, step: int) -> Tensor | None:
        """The dev loss, [], of a step; None where it takes no dev gradient."""
        return self._step.replay_dev(step)

    def _advice(self) -> tuple[str, str]:
        """Where memory ran out, and which option to lower."""
        names, lengths = self._step.at_work
        place, primary = " and ".join(names), self._setup.model.primary
        if names == ("the dev gradient",):
            sizes = "weighting.probe.fit_batch_size and weighting.probe.grad_batch_size"
            return place, f"lower {sizes}, or choose a smaller model"
        if not lengths:
            return place, "choose a smaller model"
        sections = {name: f"objectives.{name}.batch_size" for name in names if name != primary}
        size = sections.get(names[0], "primary.batch_size") if len(names) == 1 else "batch_size"
        return f"{place}, {out_of_memory.batch_shape(lengths)}", (
            f"lower {size}, which a higher accumulate makes up for, or model.max_length"
        )

    def measure(self, step: int) -> Signals:
        """Set every `.grad` as the step of a number would, and leave all else as it is."""
        return self._step.measure(step)[0]

    def weights(self) -> dict[str, float]:
        """Each objective's current weight."""
        return dict(zip(self.names, self.weighting.weights().tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Optimiser, weighting and window."""
        return {
            "optimiser": self._optimiser.state_dict(),
            "weighting": dict(self.weighting.state_dict()),
            "window": self.window.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a `state_dict`."""
        self._optimiser.load_state_dict(state["optimiser"])
        self.weighting.load_state_dict(state["weighting"])
        self.window.load_state_dict(state["window"])


def _dev_gradient(setup: Setup, weighting: Weighting) -> DevGradient | None:
    """The dev gradient where the weighting ever needs it."""
    if Needs.DEV not in weighting.needs:
        return None
    return DevGradient(setup.model, setup.probed, weighting.probe, setup.runtime, setup.seed)
