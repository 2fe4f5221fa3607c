"""The rule that an objective computes on an accelerator what it computes on the CPU."""

from typing import Any

import torch

from tartan.errors import first_line
from tartan.objective import Objective
from tartan.testing.compare import require_close
from tartan.testing.contract import Broken, NotApplicable
from tartan.testing.fake_cuda import CannotBeSentError
from tartan.testing.fake_cuda.build import BuildError
from tartan.testing.fake_cuda.shared import on_fake_device
from tartan.testing.trial import Trial

CLOSE = 1e-3
"""The largest difference of gradients, as a share of their largest entry."""


def accelerator() -> torch.device | None:
    """Return the device whose gradients are compared with the CPU's; None without one."""
    return torch.accelerator.current_accelerator(check_available=True)


def computes_alike(trial: Trial, device: torch.device) -> None:
    """Raise Broken unless a trial's gradients on a device are those on the CPU."""
    # A device has random numbers of its own: those of the CPU are used on both.
    with torch.no_grad():
        batch = trial.prepare(trial.collate())
    here = trial.gradients([batch])
    trial.to(device)
    try:
        there = trial.gradients([batch.to(device)])
        trial.loss(trial.prepare(trial.collate()))
    except RuntimeError as error:
        raise Broken(f"on {device}: {first_line(error)}") from error
    require_close(f"on {device}", here, there, CLOSE)


def computes_alike_on_fake_device(objective: type[Objective], options: Any) -> None:
    """Raise Broken unless an objective computes on the fake device of `fake_cuda` as on the CPU.

    It shows which operators mix devices, not how a real device rounds.

    Raises:
        NotApplicable: there can be no fake device, or the objective cannot be sent to its process.
    """
    without = "there is no accelerator here"
    try:
        on_fake_device(_compute, objective, options)
    except BuildError as error:
        raise NotApplicable(f"{without}, and none can be simulated: {error}") from error
    except CannotBeSentError as error:
        raise NotApplicable(f"{without}; to the process that simulates one, {error}") from error


def _compute(objective: type[Objective], options: Any) -> None:
    computes_alike(Trial.of(objective, options), torch.device("cuda"))
