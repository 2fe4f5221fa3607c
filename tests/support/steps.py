"""Signals of made-up steps, for the tests of weightings."""

from dataclasses import replace

import torch
from torch import Tensor

from tartan import Signals, Weighting


def gradients(objectives: int, step: int = 0, size: int = 7) -> Tensor:
    """Random gradients, [objectives, size]."""
    return torch.randn(objectives, size, generator=torch.Generator().manual_seed(step))


def signals(
    rows: Tensor,
    losses: Tensor | None = None,
    dev: Tensor | None = None,
    seed: int = 0,
) -> Signals:
    """What a step with these gradients, [objectives, size], gives a weighting."""
    gramian = rows @ rows.T
    dev = rows[0] if dev is None else dev
    return Signals(
        torch.ones(len(rows)) if losses is None else losses,
        torch.zeros(len(rows)),
        norms=gramian.diagonal().sqrt(),
        gramian=gramian,
        dev=rows @ dev,
        dev_norm=dev.norm(),
        generator=torch.Generator().manual_seed(seed),
    )


def take(weighting: Weighting, measured: Signals) -> Tensor:
    """The weights that a step is taken with; the weighting learns from it."""
    weights = weighting.combine(measured).detach()
    weighting.update(replace(measured, weights=weights))
    return weights
