"""The objectives' losses: batches through the body, in passes of their own or in one together."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import torch
from torch import Tensor

from tartan.batch import Batch
from tartan.packed import Packed
from tartan.seeding import derive
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime

Piece = Callable[[], Tensor]
"""Computes a micro-batch's summed loss, []."""


class Losses:
    """Computes losses of micro-batches, and adds up the metrics that come with them.

    Attributes:
        sums: sums of metrics since the step began, [], by `<metric>/<objective>`.
        at_work: whose batch is being computed on, and the lengths of its sequences.
    """

    def __init__(self, model: JointModel, runtime: Runtime, seed: int) -> None:
        self._model, self._runtime, self._seed = model, runtime, seed
        self.sums: dict[str, Tensor] = {}
        self.at_work: tuple[Sequence[str], Sequence[int]] = ((), ())

    def begin(self) -> None:
        """Begin a step: start the sums anew."""
        self.sums = defaultdict(partial(torch.zeros, (), device=self._runtime.device))

    def apart(self, number: int, batches: Mapping[str, Batch]) -> dict[str, Piece]:
        """What computes each objective's loss, in a pass of the body of its own.

        Args:
            number: the micro-batches', counted from the start of the run.
            batches: each objective's micro-batch, on the CPU.
        """

        def loss(name: str) -> Tensor:
            return self._loss(name, *self._read(number, {name: batches[name]})[name])

        return {name: partial(loss, name) for name in batches}

    def together(self, number: int, batches: Mapping[str, Batch]) -> dict[str, Piece]:
        """As `apart`, but one pass of the body reads the sequences of all objectives.

        The pass is made when the first loss is asked for. The losses' graphs hang together: one
        backward pass has to go through all of them.
        """
        read = cache(partial(self._read, number, batches))

        def loss(name: str) -> Tensor:
            return self._loss(name, *read().pop(name))

        return {name: partial(loss, name) for name in batches}

    def _read(self, number: int, batches: Mapping[str, Batch]) -> dict[str, tuple[Batch, Tensor]]:
        """Each objective's prepared batch and its hidden states, [tokens, hidden].

        Dropout depends on who is read together, and on the micro-batch's number.
        """
        torch.manual_seed(derive(self._seed, "dropout", *batches, number))
        lengths = [length for batch in batches.values() for length in batch.inputs.lengths]
        self.at_work = tuple(batches), lengths
        read: dict[str, tuple[Batch, Tensor]] = {}
        with self._runtime.autocast():
            prepared = {
                name: self._model.objective(name).prepare(batch.to(self._runtime.device))
                for name, batch in batches.items()
            }
            for causal in {batch.inputs.causal for batch in prepared.values()}:
                group = {n: b for n, b in prepared.items() if b.inputs.causal == causal}
                inputs = [batch.inputs for batch in group.values()]
                hidden = self._model.body(Packed.join(inputs))
                parts = hidden.split([part.input_ids.numel() for part in inputs])
                read |= dict(zip(group, zip(group.values(), parts, strict=True), strict=True))
        return read

    def _loss(self, name: str, batch: Batch, hidden: Tensor) -> Tensor:
        """A prepared batch's summed loss, []."""
        read, self.at_work = self.at_work, ((name,), batch.inputs.lengths)
        with self._runtime.autocast():
            loss = self._model.objective(name).loss(hidden, batch)
        self.at_work = read  # the backward pass goes through all that were read
        for metric, value in loss.metrics.items():
            self.sums[f"{metric}/{name}"] += value.detach()
        return loss.total
