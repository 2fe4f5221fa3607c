"""Losses and gradients that are not finite: detected by one flag on the device, and reported."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from tartan.errors import DivergenceError
from tartan.weighting import Signals


class NonFiniteError(Exception):
    """A step with non-finite losses or gradients; it has changed no parameter.

    Attributes:
        step: its number, counted from 0.
        signals: what was measured in it.
    """

    def __init__(self, step: int, signals: Signals) -> None:
        super().__init__(f"step {step} is not finite")
        self.step, self.signals = step, signals


class HostFlag:
    """A flag on its way from the device to the host; reading it waits for no later work."""

    def __init__(self, flag: Tensor) -> None:
        self._flag = flag.to("cpu", non_blocking=flag.is_cuda)  # into pinned memory
        self._sent = torch.cuda.Event() if flag.is_cuda else None
        if self._sent:
            self._sent.record(torch.cuda.current_stream(flag.device))

    def __bool__(self) -> bool:
        """Return whether the flag is set."""
        if self._sent:
            self._sent.synchronize()
        return bool(self._flag)


class Guard:
    """Keeps non-finite values out of the parameters.

    Attributes:
        late: whether to read a step's flag only after the next step has been queued, so that no
            step waits for the device. Until then the flag holds the optimiser back, so the
            parameters are still those of the faulty step.
        clean: whether no other state was changed by non-finite values; late, it may be.
    """

    def __init__(self, late: bool) -> None:
        self.late, self.clean = late, True
        self._flag: Tensor | None = None
        self._pending: list[tuple[int, Signals, HostFlag]] = []

    def check(self, step: int, signals: Signals, norms: Tensor) -> Tensor | None:
        """Check a step before it changes anything.

        Args:
            step: its number.
            signals: what was measured.
            norms: [groups], the Euclidean norms of the gradients that the optimiser reads.

        Returns:
            With `late`, [] float: 1 if the optimiser must not change anything, else 0. Without,
            None.

        Raises:
            NonFiniteError: this step is not finite; late, the one before it.
        """
        flag = non_finite(signals, norms)
        if self.late and self._flag is not None:
            flag = flag | self._flag
        self._flag = flag
        self._pending.append((step, signals, HostFlag(flag)))
        self.wait(keep=int(self.late))
        return flag.float() if self.late else None

    def wait(self, keep: int = 0) -> None:
        """Read the flags of all steps but the last `keep`. NonFiniteError at the first one set."""
        while len(self._pending) > keep:
            step, signals, flag = self._pending.pop(0)
            if flag:
                self._pending, self._flag = [], None
                self.clean = not self.late  # the weighting may have learned from it
                raise NonFiniteError(step, signals)


def non_finite(signals: Signals, norms: Tensor) -> Tensor:
    """Compute whether anything that a step is about to use is not finite, [] bool.

    It waits for no device. Arguments as in `Guard.check`.
    """
    measured = (
        norms,
        signals.losses,
        signals.weights,
        signals.norms,
        signals.gramian,
        signals.dev,
        signals.dev_norm,
    )
    flat = [value.reshape(-1).to(norms) for value in measured if value is not None]
    return ~torch.cat(flat).isfinite().all()


def check_means(means: Mapping[str, float], step: int) -> None:
    """DivergenceError if a training metric of the last steps up to `step` is not finite."""
    for key, value in means.items():
        if not math.isfinite(value):
            raise DivergenceError(
                f"{key} is {value} at step {step}: lower optimizer.body_lr and "
                "optimizer.head_lr, or optimizer.clip"
            )


def diverged(where: str, skipped: int | None) -> DivergenceError:
    """Return the error of a non-finite step.

    Args:
        where: what is not finite, and where.
        skipped: how many steps were skipped, as many as may be; None where none may be.
    """
    if skipped is not None:
        return DivergenceError(
            f"{where}: {skipped} steps were skipped, the most max_skipped allows. Lower "
            "optimizer.body_lr and optimizer.head_lr, or raise max_skipped"
        )
    return DivergenceError(
        f"{where}: lower optimizer.body_lr and optimizer.head_lr, fix the rows, or skip such steps "
        "with on_nonfinite=skip"
    )
