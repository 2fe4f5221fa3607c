"""One update: batches to losses, losses to a weighted gradient, gradient to a step."""

from collections import defaultdict
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from tartan.backward import Shared, Term, backward
from tartan.data.stream import Stream
from tartan.objective import Batch
from tartan.seeding import derive, generator
from tartan.train.model import JointModel
from tartan.train.optimiser import Optimiser
from tartan.train.probe import DevGradient
from tartan.train.runtime import Runtime
from tartan.weighting import Needs, Signals, Weighting


class Step:
    """Takes training steps. A step is a function of the parameters, the states and its number."""

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
    ) -> None:
        self._model, self._streams = model, streams
        self._weighting, self._optimiser, self._dev = weighting, optimiser, dev
        self._runtime, self._accumulate, self._seed = runtime, accumulate, seed
        self._shared = Shared(model.shared())
        self._sums: dict[str, Tensor] = {}

    def __call__(self, step: int) -> tuple[Signals, dict[str, Tensor]]:
        """Take one step; its signals, and the mean of each objective's metrics by name."""
        signals, metrics = self.measure(step)
        self._optimiser.step()
        self._weighting.update(signals)
        return signals, metrics

    def measure(self, step: int) -> tuple[Signals, dict[str, Tensor]]:
        """What a step of a number starts from: every `.grad` is set, nothing has moved yet."""
        self._model.train()
        self._sums = defaultdict(partial(torch.zeros, (), device=self._runtime.device))
        needs = self._weighting.due(step)
        terms = {name: self._term(name, step) for name in self._streams}
        dev = self._dev.term(step) if self._dev and Needs.DEV in needs else None
        signals = backward(
            list(terms.values()), self._weighting, self._shared, dev=dev, needs=needs
        )
        return signals, {
            name: value / max(terms[name.rpartition("/")[2]].items, 1)
            for name, value in self._sums.items()
        }

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
        rows = self._streams[name].rows(number)
        rng = generator(self._seed, "collate", name, number)
        return self._model.objective(name).collate(rows, rng)

    def _loss(self, name: str, number: int, batch: Batch) -> Tensor:
        """A micro-batch's summed loss, [], with dropout that depends on its number alone."""
        torch.manual_seed(derive(self._seed, "dropout", name, number))
        objective = self._model.objective(name)
        with self._runtime.autocast():
            batch = objective.prepare(batch.to(self._runtime.device))
            loss = objective.loss(self._model.body(batch.inputs), batch)
        for metric, value in loss.metrics.items():
            self._sums[f"{metric}/{name}"] += value.detach()
        return loss.total
