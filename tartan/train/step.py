"""One update: batches to losses, losses to a weighted gradient, gradient to a step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tartan.backward import backward
from tartan.batch import Batch, Row
from tartan.body.kernels.embedding import sparse_embedding_gradient
from tartan.data.stream import Stream
from tartan.seeding import generator
from tartan.shared import Shared
from tartan.term import Term
from tartan.train.ahead import Ahead
from tartan.train.dev_loss import DevLoss
from tartan.train.finite import Guard
from tartan.train.fp16_scale import Fp16Scale
from tartan.train.losses import Losses, Piece
from tartan.train.objective_scale import ObjectiveScale
from tartan.train.optimiser import Optimiser
from tartan.train.setup import Setup
from tartan.train.turns import Turns
from tartan.weighting import Needs, Signals, Weighting

Micro = Mapping[int, Mapping[str, Batch]]
"""A step's micro-batches, by their number from the start of the run and by the objective's name."""


@dataclass(frozen=True)
class StepBatches:
    """Everything that a step reads, on the CPU.

    Attributes:
        needs: what the weighting measures.
        together: whether objectives share passes of the body. Separate gradients need separate
            passes, and a body that pads would pad to the longest of all.
        micro: the micro-batches of this process.
        counts: by objective, the items of the micro-batches of all processes.
        dev: the batches of the dev gradient, if it is due.
    """

    needs: Needs
    together: bool
    micro: Micro
    counts: Mapping[str, int]
    dev: tuple[Batch, Batch] | None


class Step:
    """Takes training steps. A step is a function of the parameters, the states and its number.

    Attributes:
        guard: keeps what is not finite out of the parameters.
        complete: whether the last step that began has ended, so that all parameters and states are
            those after it.
        fp16_scale: the factor that losses have in float16 only, before anything is measured.
        turns: the objectives that each step computes.
    """

    def __init__(
        self,
        setup: Setup,
        streams: Mapping[str, Stream],
        weighting: Weighting,
        optimiser: Optimiser,
        dev: DevLoss | None,
        turns: Turns,
        span: range,
        shared: Shared,
    ) -> None:
        """Prepare the steps of a stage.

        Args:
            setup: what all stages share.
            streams: the batches of the stage's objectives, by name.
            weighting: weighs the objectives.
            optimiser: steps the parameters.
            dev: computes the dev loss; None if the weighting never needs it.
            turns: the objectives that each step computes.
            span: the numbers of the stage's steps.
            shared: the body's parameters.
        """
        self._model, self._streams = setup.model, streams
        self._weighting, self._optimiser, self._dev = weighting, optimiser, dev
        self._accumulate, self._seed = setup.accumulate, setup.seed
        self._scales, self._span = setup.scales, span
        self._runtime, self._device = setup.runtime, setup.runtime.device
        self._losses = Losses(setup.model, setup.runtime, setup.seed)
        self.turns = turns
        # On a CPU the thread slows the arithmetic by at least what it saves (measured).
        # What a step computes may depend on what the weighting learns in the step before.
        ahead = self._device.type != "cpu" and not turns.samples
        self._batches = Ahead(self._make_batches) if ahead else self._make_batches
        self._ranks, self._shared = setup.ranks, shared
        self.guard, self.complete = Guard(setup.late and not turns.samples), True
        self.fp16_scale = Fp16Scale() if setup.runtime.precision == "fp16" else None

    def wait(self) -> None:
        """Wait until no batches are being made, those of a step that will not be taken included.

        Processes agree on what they read of each step: those of another stage do so next.
        """
        if isinstance(self._batches, Ahead):
            self._batches.wait()

    @property
    def at_work(self) -> tuple[Sequence[str], Sequence[int]]:
        """What was computed last, and the lengths of the sequences it was computed on."""
        return self._losses.at_work

    def __call__(self, step: int) -> tuple[Signals, dict[str, Tensor]]:
        """Take step number `step`, counted from the start of the run.

        Returns:
            Its signals, and the mean of each objective's metrics by `<metric>/<objective>`.

        Raises:
            NonFiniteError: a loss or gradient is not finite.
        """
        while True:  # in float16, until nothing overflows
            with self._runtime.same_weights(self._model.body):
                signals, metrics = self.measure(step)
            self._losses.at_work = ("the optimiser",), ()
            norms = self._optimiser.norms()
            if self.fp16_scale is None or not self.fp16_scale.overflows(signals, norms):
                break
        held = self.guard.check(step, signals, norms)
        self._learn(signals)
        self.complete = False
        self._optimiser.step(norms, held)
        self.complete = True
        return signals, metrics

    def measure(self, step: int) -> tuple[Signals, dict[str, Tensor]]:
        """Set every `.grad` as step number `step` would; parameters and states stay as they are.

        Returns:
            As a step does.
        """
        self._model.train()
        self._losses.begin()
        batches = self._batches(step)
        terms = self._terms(step, batches)
        if self.turns.samples:
            for parameter in self._model.heads(self._streams):  # also of those not computed now
                parameter.grad = None
        dev = self._dev_term(step, batches)
        with sparse_embedding_gradient(self._model.body.model):
            signals = backward(
                list(terms.values()),
                self._weighting,
                self._shared,
                dev=dev,
                needs=batches.needs,
                generator=generator(self._seed, "weighting", step),
                scale=1.0 if self.fp16_scale is None else self.fp16_scale.factor,
                active=self.turns.indices(step),
            )
        sums = self._shared.complete(self._model.heads(self._streams), self._losses.sums)
        return signals, {
            name: value / max(terms[name.rpartition("/")[2]].items, 1)
            for name, value in sums.items()
        }

    def rows(self, name: str, number: int) -> list[int]:
        """Return the indices of the examples in an objective's micro-batch `number`."""
        return self._streams[name].indices(self._batch_number(name, number))

    def replay(self, name: str, number: int, rows: Sequence[int]) -> Tensor:
        """Compute the summed loss, [], of some of an objective's examples.

        Args:
            name: the objective's.
            number: the micro-batch whose random choices are repeated.
            rows: the examples' indices.
        """
        examples = self._model.objective(name).examples()
        batch = self._collate(name, number, [examples[row] for row in rows])
        return self._losses.apart(number, {name: batch})[name]()

    def replay_dev(self, step: int) -> Tensor | None:
        """Compute the dev loss, [], of step number `step`; None if it takes no dev gradient."""
        if self._dev is None or Needs.DEV not in self._weighting.due(step):
            return None
        (piece,) = self._dev.term(step).pieces
        return None if piece is None else piece()

    def _learn(self, signals: Signals) -> None:
        """Have the weighting learn from a step; if it fails, restore its state before the step."""
        before = {name: value.clone() for name, value in self._weighting.state_dict().items()}
        try:
            with torch.no_grad():
                self._weighting.update(signals)
        except Exception:
            self._weighting.load_state_dict(before)
            raise

    def _dev_term(self, step: int, batches: StepBatches) -> Term | None:
        """Return the dev loss of a step, if due; each process computes it on the same rows."""
        if self._dev is None or batches.dev is None:
            return None
        self._losses.at_work = ("the dev gradient",), ()
        term = self._dev.term(step, batches.dev)
        return replace(term, items=term.items * self._ranks.size)

    def _terms(self, step: int, batches: StepBatches) -> dict[str, Term]:
        """Return each objective's loss over this process's part of the step's effective batch."""
        passes = [
            pieces
            for number, micro in batches.micro.items()
            for pieces in self._losses.passes(number, micro, together=batches.together)
        ]
        return {
            name: Term(
                [self._scaled(name, step, pieces.get(name)) for pieces in passes],
                batches.counts[name],
                self._model.private(name),
            )
            for name in self.turns.names(step)
        }

    def _scaled(self, name: str, step: int, piece: Piece | None) -> Piece | None:
        """Return what computes a loss that is multiplied by its objective's factor of a step."""
        scale = self._scales.get(name, ObjectiveScale())
        factor = scale.factor(step - self._span.start, len(self._span))
        return piece if factor == 1 or piece is None else lambda: factor * piece()

    def _make_batches(self, step: int) -> StepBatches:
        """Make everything that a step reads, on the CPU: micro-batches, and those of dev if due."""
        needs = self._weighting.due(step)
        together = needs == Needs.LOSSES and self._model.body.reads_packed
        dev = self._dev.batches(step) if self._dev and Needs.DEV in needs else None
        micro = self._micro_batches(step)
        if self._device.type != "cpu":  # in a thread: see `__init__`
            self._model.body.begin_layouts()
            for batches in micro.values():
                self._losses.lay_out(batches, together=together)
            for batch in dev or ():
                self._model.body.lay_out(batch.inputs.lengths)
        names = self.turns.names(step)
        items = [sum(batches[name].items for batches in micro.values()) for name in names]
        counts = dict(zip(names, self._ranks.counts(items), strict=True))
        return StepBatches(needs, together, micro, counts, dev)

    def _micro_batches(self, step: int) -> Micro:
        """Make this process's micro-batches of a step."""
        first, names = step * self._accumulate, self.turns.names(step)
        return {
            number: {name: self._batch(name, number) for name in names}
            for number in self._ranks.micro_batches(range(first, first + self._accumulate))
        }

    def _batch(self, name: str, number: int) -> Batch:
        """Make micro-batch `number`, counted from the start of the run, of an objective."""
        return self._collate(
            name, number, self._streams[name].rows(self._batch_number(name, number))
        )

    def _batch_number(self, name: str, number: int) -> int:
        """Return the index in its stream of what an objective reads as micro-batch `number`."""
        return number - self.turns.missed.get(name, 0) * self._accumulate

    def _collate(self, name: str, number: int, rows: Sequence[Row]) -> Batch:
        """Collate rows as micro-batch `number`; pin it if it will go to a GPU."""
        batch = self._streams[name].number(self._batch_number(name, number))
        rng = generator(self._seed, "collate", name, batch)
        return self._runtime.pin(self._model.objective(name).collate(rows, rng))
