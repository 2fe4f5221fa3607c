"""Optimiser steps that a flag on the device can hold back, without the host waiting for it."""

from torch import Tensor
from torch.optim import Optimizer

from tartan.errors import ConfigError


def hold(optimiser: Optimizer, flag: Tensor | None) -> None:
    """Make the next steps of an optimiser change nothing where a flag is 1.

    torch offers this to its GradScaler alone: an optimiser with `fused=True` reads `found_inf`, and
    then neither moves parameters nor changes moments or step counts.

    Args:
        optimiser: any whose implementation is fused: Adam, AdamW, SGD, Adagrad.
        flag: [] float on the parameters' device, 1 or 0. It is read when a step runs: to change it
            in place changes the steps after. None makes every step count again.

    Raises:
        ConfigError: the optimiser would ignore the flag.
    """
    if not getattr(optimiser, "_step_supports_amp_scaling", False):
        raise ConfigError(
            f"{type(optimiser).__name__} cannot skip a step on the device, as on_nonfinite and "
            "probes need it: use an optimiser of torch's with fused=True"
        )
    optimiser.found_inf = flag  # type: ignore[attr-defined]
