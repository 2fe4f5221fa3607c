"""One update: batches to losses, losses to a weighted gradient, gradient to a step."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from tartan.backward import Shared, Term, backward
from tartan.data.stream import Stream
from tartan.objective import Batch, Row
from tartan.seeding import derive, generator
from tartan.train.finite import Guard
from tartan.train.model import JointModel
from tartan.train.optimiser import Optimiser
from tartan.train.probe import DevGradient
from tartan.train.runtime import Runtime
from tartan.weighting import Needs, Signals, Weighting


class Step:
    """Takes training steps. A step is a function of the parameters, the states and its number.

    Attributes:
        guard: keeps what is not finite out of the parameters.
        whole: whether parameters and states are those after a step, not in the middle of one.
        at_work: what is being computed, and the lengths of its sequences.
    """

    def __init__(
        self,
        model: JointModel,
        streams: Mapping[str, Stream],
        weighting: Weighting,
        optimiser: Optimiser,
        dev: DevGradient | None,
        runtime: Runtime,
        *,
        accumulate: int,
        seed: int,
        late: bool = False,
    ) -> None:
        self._model, self._streams = model, streams
        self._weighting, self._optimiser, self._dev = weighting, optimiser, dev
        self._runtime, self._accumulate, self._seed = runtime, accumulate, seed
        self._shared = Shared(model.shared())
        self._sums: dict[str, Tensor] = {}
        self.guard, self.whole = Guard(late), True
        self.at_work: tuple[str, Sequence[int]] = ("", ())

    def __call__(self, step: int) -> tuple[Signals, dict[str, Tensor]]:
        """Take one step; its signals, and the mean of each objective's metrics by name.

        SpoiledError where a loss or gradient is not finite.
        """
        signals, metrics = self.measure(step)
        self.at_work = ("the optimiser", ())
        norms = self._optimiser.norms()
        held = self.guard.see(step, signals, norms)
        self._learn(signals)
        self.whole = False
        self._optimiser.step(norms, held)
        self.whole = True
        return signals, metrics

    def measure(self, step: int) -> tuple[Signals, dict[str, Tensor]]:
        """What a step of a number starts from: every `.grad` is set, nothing has moved yet."""
        self._model.train()
        self._sums = defaultdict(partial(torch.zeros, (), device=self._runtime.device))
        needs = self._weighting.due(step)
        terms = {name: self._term(name, step) for name in self._streams}
        self.at_work = ("the dev gradient", ())
        dev = self._dev.term(step) if self._dev and Needs.DEV in needs else None
        signals = backward(
            list(terms.values()), self._weighting, self._shared, dev=dev, needs=needs
        )
        return signals, {
            name: value / max(terms[name.rpartition("/")[2]].items, 1)
            for name, value in self._sums.items()
        }

    def replay(self, name: str, number: int, rows: Sequence[int]) -> Tensor:
        """The summed loss, [], of some of an objective's examples, as in its micro-batch."""
        examples = self._model.objective(name).examples()
        return self._loss(name, number, self._collate(name, number, [examples[i] for i in rows]))

    def replay_dev(self, step: int) -> Tensor | None:
        """The dev loss, [], of a step; None where it takes no dev gradient."""
        if self._dev is None or Needs.DEV not in self._weighting.due(step):
            return None
        return self._dev.term(step).pieces[0]()

    def _learn(self, signals: Signals) -> None:
        """Have the weighting learn from a step; where it fails, it is as it was before."""
        before = {name: value.clone() for name, value in self._weighting.state_dict().items()}
        try:
            self._weighting.update(signals)
        except Exception:
            self._weighting.load_state_dict(before)
            raise

    def _term(self, name: str, step: int) -> Term:
        """An objective's loss over the step's effective batch."""
        first = step * self._accumulate
        numbers = range(first, first + self._accumulate)
        batches = [self._batch(name, number) for number in numbers]
        return Term(
            [partial(self._loss, name, *micro) for micro in zip(numbers, batches, strict=True)],
            sum(batch.items for batch in batches),
            self._model.private(name),
        )

    def _batch(self, name: str, number: int) -> Batch:
        """An objective's micro-batch of a number, counted from the start of the run."""
        return self._collate(name, number, self._streams[name].rows(number))

    def _collate(self, name: str, number: int, rows: Sequence[Row]) -> Batch:
        """Rows as the micro-batch of a number."""
        rng = generator(self._seed, "collate", name, number)
        return self._model.objective(name).collate(rows, rng)

    def _loss(self, name: str, number: int, batch: Batch) -> Tensor:
        """A micro-batch's summed loss, [], with dropout that depends on its number alone."""
        torch.manual_seed(derive(self._seed, "dropout", name, number))
        objective = self._model.objective(name)
        self.at_work = (name, batch.inputs.lengths)
        with self._runtime.autocast():
            batch = objective.prepare(batch.to(self._runtime.device))
            loss = objective.loss(self._model.body(batch.inputs), batch)
        for metric, value in loss.metrics.items():
            self._sums[f"{metric}/{name}"] += value.detach()
        return loss.total
