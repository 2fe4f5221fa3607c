"""Callbacks of Trainer: one makes it take a step at a time, one keeps its gradient."""

from queue import SimpleQueue
from threading import Semaphore
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl

from benchmarks.sides.side import body_gradient


class Pace(TrainerCallback):
    """Pauses `train`, which runs in a thread of its own, until `step` is called.

    Attributes:
        masks: the attention masks of batches that were collated, in their order.
        mask: that of the batch last trained on, [rows, longest] int64.
    """

    def __init__(self) -> None:
        self.masks: SimpleQueue[Tensor] = SimpleQueue()
        self.mask = torch.empty(0, 0)
        self._go, self._done = Semaphore(0), SimpleQueue[BaseException | None]()
        self._stopped = False

    def step(self) -> None:
        """Let it take one step, and wait for that."""
        self._go.release()
        error = self._done.get()
        if error is not None:
            raise error

    def stop(self) -> None:
        """Make `train` end."""
        self._stopped = True
        self._go.release()

    def fail(self, error: BaseException) -> None:
        """Report the exception that ended `train`."""
        self._done.put(error)

    def on_train_begin(self, args: Any, state: Any, control: TrainerControl, **_: Any) -> None:  # noqa: ARG002
        """Wait for the first call of `step`."""
        self._go.acquire()

    def on_step_end(self, args: Any, state: Any, control: TrainerControl, **_: Any) -> None:  # noqa: ARG002
        """Report that a step was taken, and wait for the next call."""
        self.mask = self.masks.get()
        self._done.put(None)
        self._go.acquire()
        control.should_training_stop = self._stopped


class KeepGradient(TrainerCallback):
    """Keeps a copy of the body's gradient before the optimiser's step."""

    def __init__(self) -> None:
        self.gradient: dict[str, Tensor] = {}

    def on_pre_optimizer_step(
        self,
        args: Any,  # noqa: ARG002
        state: Any,  # noqa: ARG002
        control: TrainerControl,  # noqa: ARG002
        model: Any = None,
        **_: Any,
    ) -> None:
        """Copy the gradient."""
        self.gradient = body_gradient(model.base_model)
