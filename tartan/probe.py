"""The dev loss through a probe: what a run and a training loop of one's own share.

Dery et al. (ICLR 2022), section 3.2 and appendix.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from tartan.evaluating import evaluating
from tartan.held_steps import hold
from tartan.term import Term
from tartan.weighting import ProbeOptions

T = TypeVar("T")


def dev_term(
    body: nn.Module,
    probe: nn.Module,
    features: Callable[[T], Tensor],
    loss: Callable[[Tensor, T], Tensor],
    fit_on: T,
    grad_on: T,
    *,
    items: tuple[int, int] = (1, 1),
    options: ProbeOptions | None = None,
) -> Term:
    """Fit a new head on some dev rows; return the dev loss on others as `backward`'s `dev`.

    The body is not trained by the fit. It is in evaluation mode whenever `features` runs, so that
    one dev batch has one gradient.

    Args:
        body: the shared module that `features` runs.
        probe: a new head on the body's device, which is fitted here and then frozen.
        features: computes the probe's input from a batch, float32.
        loss: computes the sum of the items' losses, [] float, from the probe's output and a batch.
        fit_on: the batch that the probe is fitted on.
        grad_on: the batch that the dev gradient is taken on: other rows.
        items: how many items each of the two has; (1, 1) if `loss` returns a mean.
        options: how the probe is fitted: `steps`, `lr`, `weight_decay` and `tolerance`; the
            defaults if None.
    """
    with evaluating(body), torch.no_grad():
        fixed = features(fit_on)
    fit(probe, lambda head: loss(head(fixed), fit_on) / max(items[0], 1), options or ProbeOptions())

    def dev_loss() -> Tensor:
        with evaluating(body):
            hidden = features(grad_on)
        return loss(probe(hidden), grad_on)

    return Term([dev_loss], items[1])


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
