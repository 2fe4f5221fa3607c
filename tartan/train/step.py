"""One update: batches to losses, losses to a weighted gradient, gradient to a step."""

from collections.abc import Mapping

from torch import Tensor

from tartan.backward import Shared, Term, backward
from tartan.data.stream import Stream
from tartan.objective import Batch
from tartan.seeding import generator
from tartan.train.ahead import Ahead
from tartan.train.losses import Losses
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
        self._accumulate, self._seed = accumulate, seed
        self._losses = Losses(model, runtime, seed)
        self._device = runtime.device
        # On a CPU the thread takes from the arithmetic what it saves, or more: it was measured.
        ahead = self._device.type != "cpu"
        self._batches = Ahead(self._collate) if ahead else self._collate
        self._shared = Shared(model.shared())
        # Every `.grad` of the body is a view of a flat buffer, which sparse gradients can join.
        model.body.sparse_embeddings(runtime.device.type == "cpu")

    def __call__(self, step: int) -> tuple[Signals, dict[str, Tensor]]:
        """Take one step; its signals, and the mean of each objective's metrics by name."""
        signals, metrics = self.measure(step)
        self._optimiser.step()
        self._weighting.update(signals)
        return signals, metrics

    def measure(self, step: int) -> tuple[Signals, dict[str, Tensor]]:
        """What a step of a number starts from: every `.grad` is set, nothing has moved yet."""
        self._model.train()
        self._losses.begin()
        needs = self._weighting.due(step)
        # Separate gradients need separate passes; a body that pads would pad to the longest of all.
        together = needs == Needs.LOSSES and self._model.body.packed
        terms = self._terms(step, together=together)
        dev = self._dev.term(step) if self._dev and Needs.DEV in needs else None
        signals = backward(
            list(terms.values()), self._weighting, self._shared, dev=dev, needs=needs
        )
        return signals, {
            name: value / max(terms[name.rpartition("/")[2]].items, 1)
            for name, value in self._losses.sums.items()
        }

    def _terms(self, step: int, *, together: bool) -> dict[str, Term]:
        """Each objective's loss over the step's effective batch."""
        micro = self._batches(step)
        read = self._losses.together if together else self._losses.apart
        pieces = [read(number, batches) for number, batches in micro.items()]
        return {
            name: Term(
                [part[name] for part in pieces],
                sum(batches[name].items for batches in micro.values()),
                self._model.private(name),
            )
            for name in self._streams
        }

    def _collate(self, step: int) -> dict[int, dict[str, Batch]]:
        """A step's micro-batches by their number, counted from the start of the run, and name."""
        first = step * self._accumulate
        return {
            number: {name: self._batch(name, number) for name in self._streams}
            for number in range(first, first + self._accumulate)
        }

    def _batch(self, name: str, number: int) -> Batch:
        """An objective's micro-batch of a number; pinned where it is to go to another device."""
        rows = self._streams[name].rows(number)
        rng = generator(self._seed, "collate", name, number)
        batch = self._model.objective(name).collate(rows, rng)
        return batch.pin() if self._device.type == "cuda" else batch
