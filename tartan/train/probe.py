"""The dev gradient: the gradient of the dev loss on the body, through a freshly fitted probe.

Dery et al. (ICLR 2022), section 3.2 and appendix: the end task's own head would be biased towards
what it was trained on, so a new head is fitted on a few dev rows with the body frozen, and the
gradient is taken on others. A frozen body's features do not change: they are computed once a fit.
The body runs without dropout here, so that one dev batch has one gradient.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from tartan.batch import Batch, Row
from tartan.errors import ConfigError
from tartan.packed import send
from tartan.seeding import generator, seeded
from tartan.term import Term
from tartan.train.hold import hold
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime
from tartan.weighting import ProbeOptions


def check_rows(rows: Sequence[Row], options: ProbeOptions) -> None:
    """ConfigError if there are too few rows to take the dev gradient on."""
    if len(rows) < 2:
        raise ConfigError(
            f"weighting.probe.split={options.split} has {len(rows)} rows: the dev gradient "
            "needs at least 2, one to fit the probe and one to take the gradient on"
        )


class DevGradient:
    """Computes the dev loss of a step: rows, features, probe and loss."""

    def __init__(
        self,
        model: JointModel,
        rows: Sequence[Row],
        options: ProbeOptions,
        runtime: Runtime,
        seed: int,
    ) -> None:
        check_rows(rows, options)
        self._model, self._rows, self._options = model, rows, options
        self._runtime, self._seed = runtime, seed

    def term(self, step: int, batches: tuple[Batch, Batch] | None = None) -> Term:
        """Return the dev loss of a step, through a probe that is fitted here and then frozen.

        Args:
            step: its number.
            batches: the result of `batches`, if they have been made.
        """
        device = self._runtime.device
        fit_batch, grad_batch = (batch.to(device) for batch in batches or self.batches(step))
        with seeded(self._seed, "probe", step):
            features = self._features(fit_batch).detach()
            probe = self._model.end_task.probe(self._options.dropout)
            # `Module.to` would wait for each parameter.
            probe._apply(partial(send, device=device))
            fit(probe, lambda head: self._loss(head, features, fit_batch), self._options)

        def piece() -> Tensor:
            features = self._features(grad_batch, gradient=True)
            return self._model.end_task.criterion(probe(features), grad_batch)

        return Term([piece], grad_batch.items)

    def batches(self, step: int) -> tuple[Batch, Batch]:
        """Sample rows to fit on and others for the gradient; few rows are divided among both.

        The batches are on the CPU, pinned if they will go to a GPU.
        """
        rng = generator(self._seed, "probe rows", step)
        order = torch.randperm(len(self._rows), generator=rng).tolist()
        fitted, graded = self._options.fit_batch_size, self._options.grad_batch_size
        fitted = min(fitted, max(1, len(order) * fitted // (fitted + graded)))
        parts = order[:fitted], order[fitted : fitted + graded]
        fit_batch, grad_batch = (
            self._runtime.pin(self._model.end_task.collate([self._rows[i] for i in part], rng))
            for part in parts
        )
        return fit_batch, grad_batch

    def _features(self, batch: Batch, gradient: bool = False) -> Tensor:
        """Compute the probe's input, [items, hidden] float32, from the body without dropout."""
        task, body = self._model.end_task, self._model.body
        training = body.training
        body.eval()
        try:
            with torch.set_grad_enabled(gradient), self._runtime.autocast():
                batch = task.prepare(batch)
                return task.features(body(batch.inputs), batch).float()
        finally:
            body.train(training)

    def _loss(self, probe: nn.Module, features: Tensor, batch: Batch) -> Tensor:
        """Compute the probe's mean loss, []."""
        return self._model.end_task.criterion(probe(features), batch) / max(batch.items, 1)


def fit(probe: nn.Module, loss: Callable[[nn.Module], Tensor], options: ProbeOptions) -> nn.Module:
    """Fit a probe by AdamW until its loss changes by less than the tolerance; then freeze it.

    The host does not read the loss, which would make it wait for the device: all `steps` iterations
    run, and those after the loss stopped changing change nothing.
    """
    parameters = list(probe.parameters())
    optimiser = AdamW(parameters, lr=options.lr, weight_decay=options.weight_decay, fused=True)
    previous = torch.full((), float("inf"), device=parameters[0].device)
    done = torch.zeros_like(previous)
    hold(optimiser, done)
    probe.train()
    for _ in range(options.steps):
        value = loss(probe)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        still = (previous - value.detach()).abs() < options.tolerance
        done.copy_(done.maximum(still.float()))
        previous = value.detach()
    return probe.eval().requires_grad_(False)
