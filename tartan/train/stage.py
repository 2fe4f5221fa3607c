"""A stage under way: a span of training with objectives, weighting and optimiser of its own."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from tartan.distributed.sharded import local
from tartan.train import out_of_memory
from tartan.train.activations import stage_activations
from tartan.train.cost import expected_cost, step_cost
from tartan.train.dev_loss import DevLoss
from tartan.train.memory import TIDIED, give_back_memory
from tartan.train.optimiser import Optimiser
from tartan.train.schedule import StagePlan
from tartan.train.setup import Setup
from tartan.train.sharded_checkpoint import DIVIDED, divide_moments
from tartan.train.step import Step
from tartan.train.turns import Turns
from tartan.train.window import Window
from tartan.weighting import Cost, Needs, Weighting


class Stage:
    """A stage under way: everything it trains with, and all of its state but the parameters.

    Attributes:
        names: the objectives that train, the primary first.
        streams: their batches by name, numbered from the start of the run.
        weighting: weighs them.
        window: their metrics since the last line.
        step: takes its steps.
    """

    def __init__(
        self,
        setup: Setup,
        plan: StagePlan,
        steps_without_primary: int = 0,
        first: int = 0,
        missed: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Begin a stage.

        Args:
            setup: what is trained.
            plan: the stage's.
            steps_without_primary: before it, which the end task's batches do not count, so
                that runs of one seed see the same batches.
            first: the number of the stage's first step.
            missed: by objective, the steps of the run that its weightings did not compute it in.
        """
        model = setup.model
        self.names = plan.names
        self.streams = {name: setup.streams[name] for name in self.names}
        if model.primary in self.streams:
            batches = steps_without_primary * setup.accumulate
            self.streams[model.primary] = setup.streams[model.primary].delayed(batches)
        self.weighting = setup.make_weighting(plan.weighting, self.names)
        self.weighting.budget(plan.steps)
        self._span = range(first, first + plan.steps)
        self._setup = setup
        shared = setup.ranks.shared(model.shared())
        self._shared = shared
        self._body, self._heads = shared.owned, model.heads(self.names)
        self._parameters = sum(local(p).nbytes for p in model.parameters())
        self._optimiser = Optimiser(
            self._body,
            self._heads,
            plan.optimizer,
            plan.steps,
            self.weighting,
            shared.grad_norm,
            setup.ranks.adamw,
        )
        self.step = Step(
            setup,
            self.streams,
            self.weighting,
            self._optimiser,
            _dev_loss(setup, self.weighting),
            Turns(self.names, self.weighting, setup.seed, missed),
            self._span,
            shared,
        )
        self.window = Window(self.names, samples=self.step.turns.samples)

    @property
    def cost(self) -> Cost:
        """The most that a step costs; the mean if its weighting chooses what each computes."""
        model = self._setup.model
        objectives = [model.objective(name) for name in self.names]
        count = partial(
            step_cost,
            reads_packed=model.body.reads_packed,
            causal=model.body.causal,
            accumulate=self._setup.accumulate,
        )
        if self.step.turns.samples:
            counted = expected_cost(self.weighting, objectives, self._span, count)
        else:
            counted = count(self.weighting.needs, objectives)
        body, heads = (sum(p.nbytes for p in part) for part in (self._body, self._heads))
        gradients, moments = counted.copies * body + heads, 2 * (body + heads)
        moments //= self._setup.ranks.size if self._optimiser.divided else 1
        return replace(
            counted,
            memory=self._parameters + gradients + moments,
            activations=stage_activations(
                self._setup, self.streams, self.weighting, self._span.start
            ),
        )

    @property
    def consistent(self) -> bool:
        """Whether parameters and states are all those after the same step, none non-finite."""
        return self.step.complete and self.step.guard.clean

    def take(self, step: int) -> None:
        """Take step number `step`, counted from the start of the run.

        Raises:
            NonFiniteError: it is not finite; late, the one before it.
            OutOfMemoryError: it takes too much memory.
        """
        try:
            self.window.add(*self.step(step), computed=self.step.turns.names(step))
            if self._setup.runtime.device.type == "cpu" and (step + 1) % TIDIED == 0:
                give_back_memory()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory.recognised(error):
                raise
            model = self._setup.model
            limits = {name: stream.limit for name, stream in self.streams.items()}
            place, remedy = out_of_memory.advice(
                *self.step.at_work, model.primary, model.body, limits
            )
            raise out_of_memory.refusal(error, self._setup.runtime, place, remedy) from error

    def weights(self) -> dict[str, float]:
        """Return each objective's current weight, by name; this waits for the device."""
        return dict(zip(self.names, self.weighting.weights().tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Return the state of optimiser, weighting and window: tensors and plain values."""
        scale, divided = self.step.fp16_scale, self._optimiser.indices(self._shared.parts)
        return {
            "names": list(self.names),
            "optimiser": self._optimiser.state_dict(),
            "weighting": dict(self.weighting.state_dict()),
            "window": self.window.state_dict(),
            **({} if scale is None else {"scale": scale.state_dict()}),
            **({DIVIDED: divided} if divided else {}),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a `state_dict`. ValueError if it is another stage's."""
        names = state["names"]
        if names != [*self.names]:
            raise ValueError(f"it trains {', '.join(names)}, in this order")
        optimiser, part = state["optimiser"], self._setup.ranks.part
        if part is not None and DIVIDED not in state:  # of processes that had all of the body
            indices = self._optimiser.indices(self._shared.parts)
            optimiser = divide_moments(optimiser, indices, *part)
        try:
            self._optimiser.load_state_dict(optimiser)
            self.weighting.load_state_dict(state["weighting"])
        except RuntimeError as error:  # torch's reasons have several lines
            raise ValueError(" ".join(str(error).split())) from error
        self.window.load_state_dict(state["window"])
        if self.step.fp16_scale is not None and "scale" in state:  # or another precision's
            self.step.fp16_scale.load_state_dict(state["scale"])


def _dev_loss(setup: Setup, weighting: Weighting) -> DevLoss | None:
    """Make what computes the dev loss, if the weighting ever needs it."""
    if Needs.DEV not in weighting.needs:
        return None
    probe = weighting.probe
    return DevLoss(setup.model, setup.probed[probe.split], probe, setup.runtime, setup.seed)
