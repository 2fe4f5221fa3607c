"""Losses and gradients that are not finite, seen by one flag on the device."""

import torch
from torch import Tensor

from tartan.weighting import Signals


class SpoiledError(Exception):
    """A step whose losses or gradients are not finite; it has moved no parameter.

    Attributes:
        step: its number, counted from 0.
        signals: what was measured in it.
    """

    def __init__(self, step: int, signals: Signals) -> None:
        super().__init__(f"step {step} is not finite")
        self.step, self.signals = step, signals


class Glance:
    """A flag on its way from the device to the host; looking at it waits for no later work."""

    def __init__(self, flag: Tensor) -> None:
        self._flag = flag.to("cpu", non_blocking=True)  # into pinned memory
        self._sent = torch.cuda.Event() if flag.is_cuda else None
        if self._sent:
            self._sent.record()

    def __bool__(self) -> bool:
        """Whether the flag is set."""
        if self._sent:
            self._sent.synchronize()
        return bool(self._flag)


class Guard:
    """Keeps what is not finite out of the parameters.

    Attributes:
        late: whether to look at a step's flag only when the step after it has been queued, so that
            no step waits for the device. Until then the flag keeps the optimiser from moving
            anything, so that the parameters stay those that the step can be traced with.
        sound: whether no other state has been touched by what is not finite; late, it may be.
    """

    def __init__(self, late: bool) -> None:
        self.late, self.sound = late, True
        self._flag: Tensor | None = None
        self._seen: list[tuple[int, Signals, Glance]] = []

    def see(self, step: int, signals: Signals, norms: Tensor) -> Tensor | None:
        """Look at a step before it moves anything.

        Args:
            step: its number.
            signals: what was measured.
            norms: [groups], the Euclidean norms of the gradients that the optimiser sees.

        Returns:
            Late, [] float: 1 where nothing must move, else 0. None where all is known to be finite.

        Raises:
            SpoiledError: this step is not finite; late, the one before it.
        """
        flag = spoiled(signals, norms)
        if self.late and self._flag is not None:
            flag = flag | self._flag
        self._flag = flag
        self._seen.append((step, signals, Glance(flag)))
        self.settle(keep=int(self.late))
        return flag.float() if self.late else None

    def settle(self, keep: int = 0) -> None:
        """Look at the flags of all steps but the last few. SpoiledError at the first set."""
        while len(self._seen) > keep:
            step, signals, flag = self._seen.pop(0)
            if flag:
                self._seen, self._flag = [], None
                self.sound = not self.late  # what came after it may have been learned from
                raise SpoiledError(step, signals)


def spoiled(signals: Signals, norms: Tensor) -> Tensor:
    """Whether anything that a step is about to act on is not finite, [] bool.

    It waits for no device. Arguments as in `Guard.see`.
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
