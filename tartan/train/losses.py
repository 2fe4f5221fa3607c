"""The objectives' losses: batches through the body, in a pass for each or in one for all."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import islice

import torch
from torch import Tensor

from tartan.batch import Batch, Loss
from tartan.objective import calls_body
from tartan.packed import Packed, split_lengths
from tartan.seeding import seeded
from tartan.train.model import JointModel
from tartan.train.objective_body import ObjectiveBody
from tartan.train.runtime import Runtime

Piece = Callable[[], Tensor]
"""Computes a micro-batch's summed loss, []."""


class Losses:
    """Computes losses of micro-batches, and sums the metrics that come with them.

    Attributes:
        sums: sums of metrics since `begin`, [], by `<metric>/<objective>`.
        at_work: what is being computed, and the lengths of its sequences: the names of objectives,
            or what `Step` computes between losses. An error of memory names it.
    """

    def __init__(self, model: JointModel, runtime: Runtime, seed: int) -> None:
        self._model, self._runtime, self._seed = model, runtime, seed
        self.sums: dict[str, Tensor] = {}
        self.at_work: tuple[Sequence[str], Sequence[int]] = ((), ())

    def begin(self) -> None:
        """Begin a step: set the sums to 0."""
        self.sums = defaultdict(partial(torch.zeros, (), device=self._runtime.device))

    def apart(self, number: int, batches: Mapping[str, Batch]) -> dict[str, Piece]:
        """Return what computes each objective's loss in a pass of the body of its own.

        Args:
            number: the micro-batches', counted from the start of the run.
            batches: each objective's micro-batch, on the CPU.
        """

        def loss(name: str) -> Tensor:
            if self._calls_body(name):
                return self._computed(number, name, batches[name])
            return self._losses(number, {name: batches[name]})[name]

        return {name: partial(loss, name) for name in batches}

    def passes(
        self, number: int, batches: Mapping[str, Batch], *, together: bool
    ) -> list[dict[str, Piece]]:
        """Return what computes each objective's loss, by backward pass.

        Pieces of one backward pass may share a graph: all of them have to be computed before it.

        Args:
            number: the micro-batches', counted from the start of the run.
            batches: each objective's micro-batch, on the CPU.
            together: whether a pass of the body reads the sequences of several objectives: of all,
                or of as many as the body's `max_tokens` allows. Objectives that override
                `compute` get passes of their own.
        """
        apart = self.apart(number, batches)
        if not together:
            return [apart]
        joint = {name: batch for name, batch in batches.items() if not self._calls_body(name)}
        joined = [self._joint(number, group) for group in self._groups(joint)]
        own = {name: piece for name, piece in apart.items() if name not in joint}
        if self._model.body.max_tokens is not None:
            return [*joined, *({name: piece} for name, piece in own.items())]
        return [{name: piece for pieces in (*joined, own) for name, piece in pieces.items()}]

    def lay_out(self, batches: Mapping[str, Batch], *, together: bool) -> None:
        """Prepare the layouts of the passes over micro-batches; call it from any thread."""
        read = {name: batch for name, batch in batches.items() if not self._calls_body(name)}
        groups = self._groups(read) if together else [{n: batch} for n, batch in read.items()]
        for group in groups:
            for causal in {self._causal(batch) for batch in group.values()}:
                inputs = [b.inputs for b in group.values() if self._causal(b) == causal]
                lengths = [length for part in inputs for length in part.lengths]
                self._model.body.lay_out(lengths, causal=causal)

    def _groups(self, batches: Mapping[str, Batch]) -> list[dict[str, Batch]]:
        """Divide objectives into groups that a pass reads together, in order."""
        sizes, each = [sum(b.inputs.lengths) for b in batches.values()], iter(batches.items())
        parts = split_lengths(sizes, self._model.body.max_tokens) if sizes else []
        return [dict(islice(each, len(part))) for part in parts]

    def _joint(self, number: int, batches: Mapping[str, Batch]) -> dict[str, Piece]:
        """Return a function for each objective.

        The first one called runs the shared pass; the others return its results.
        """
        losses = cache(partial(self._losses, number, batches))

        def loss(name: str) -> Tensor:
            return losses().pop(name)  # kept here, it would keep its graph after the backward pass

        return {name: partial(loss, name) for name in batches}

    def _calls_body(self, name: str) -> bool:
        """Return whether an objective calls the body itself, by `compute`."""
        return calls_body(type(self._model.objective(name)))

    def _computed(self, number: int, name: str, batch: Batch) -> Tensor:
        """Return the summed loss of an objective that calls the body itself, [].

        Dropout is a function of the seed, the objective's name, the micro-batch's number and the
        pass, and so the same whatever else trains.
        """
        objective, purpose = self._model.objective(name), ("dropout", name, number)
        self.at_work = (name,), batch.inputs.lengths
        with seeded(self._seed, *purpose), self._runtime.autocast():
            body = ObjectiveBody(self._model.body, self._seed, *purpose)
            prepared = objective.prepare(batch.to(self._runtime.device))
            return self._add(name, objective.compute(body, prepared))

    def _add(self, name: str, loss: Loss) -> Tensor:
        """Add an objective's metrics to the sums; return its summed loss, []."""
        for metric, value in loss.metrics.items():
            self.sums[f"{metric}/{name}"] += value.detach()
        return loss.total

    def _losses(self, number: int, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        """Compute the summed loss of each objective's batch, [], in one pass of the body.

        Dropout is a function of the seed, the objectives and the micro-batch's number; the global
        generators are restored.
        """
        every = tuple(batches), [n for batch in batches.values() for n in batch.inputs.lengths]
        self.at_work = every
        losses: dict[str, Tensor] = {}
        with seeded(self._seed, "dropout", *batches, number), self._runtime.autocast():
            for name, (batch, hidden) in self._read(batches).items():
                self.at_work = (name,), batch.inputs.lengths
                losses[name] = self._add(name, self._model.objective(name).loss(hidden, batch))
        self.at_work = every  # as the backward pass follows
        return losses

    def _read(self, batches: Mapping[str, Batch]) -> dict[str, tuple[Batch, Tensor]]:
        """Prepare each objective's batch, and compute its hidden states, [tokens, hidden].

        Causal sequences take a pass of their own, except in a decoder.
        """
        prepared = {
            name: self._model.objective(name).prepare(batch.to(self._runtime.device))
            for name, batch in batches.items()
        }
        read: dict[str, tuple[Batch, Tensor]] = {}
        for causal in {self._causal(batch) for batch in prepared.values()}:
            group = {n: b for n, b in prepared.items() if self._causal(b) == causal}
            inputs = [replace(batch.inputs, causal=causal) for batch in group.values()]
            hidden = self._model.body(Packed.join(inputs))
            parts = hidden.split([part.input_ids.numel() for part in inputs])
            read |= dict(zip(group, zip(group.values(), parts, strict=True), strict=True))
        return {name: read[name] for name in batches}

    def _causal(self, batch: Batch) -> bool:
        """Return whether a batch is read left to right; a decoder reads all of them so."""
        return batch.inputs.causal or self._model.body.causal
