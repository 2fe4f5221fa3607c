"""The dev loss of a step, through a freshly fitted probe: its gradient is the dev gradient.

Dery et al. (ICLR 2022), section 3.2 and appendix: the end task's own head would be biased towards
what it was trained on, so a new head is fitted on a few dev rows with the body frozen, and the
gradient is taken on others. A frozen body's features do not change: they are computed once a fit.
The body runs without dropout here, so that one dev batch has one gradient.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from tartan.batch import Batch, Row
from tartan.errors import ConfigError
from tartan.packed import send
from tartan.probe import dev_term
from tartan.seeding import generator, seeded
from tartan.term import Term
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


class DevLoss:
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
        task = self._model.end_task
        with seeded(self._seed, "probe", step):
            with self._runtime.autocast():
                fit_batch, grad_batch = (
                    task.prepare(batch.to(device)) for batch in batches or self.batches(step)
                )
            probe = task.probe(self._options.dropout)
            # `Module.to` would wait for each parameter.
            probe._apply(partial(send, device=device))
            return dev_term(
                self._model.body,
                probe,
                self._features,
                task.criterion,
                fit_batch,
                grad_batch,
                items=(fit_batch.items, grad_batch.items),
                options=self._options,
            )

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

    def _features(self, batch: Batch) -> Tensor:
        """Compute the probe's input from a prepared batch, [items, hidden] float32."""
        task = self._model.end_task
        with self._runtime.autocast():
            return task.features(self._model.body(batch.inputs), batch).float()
