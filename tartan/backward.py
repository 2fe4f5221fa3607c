"""Backward: from the objectives' losses to a weighted `.grad` and the signals a weighting needs.

What the weighting needs decides how: the losses alone take one weighted sum and one backward pass;
the dev gradient takes one gradient at a time, and three copies of the shared gradient however many
objectives there are; the Gramian takes all gradients at once. The resulting `.grad` is the same.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

import torch
from torch import Tensor

from tartan.active import Active
from tartan.errors import PluginError
from tartan.shared import Gradient, Shared, products
from tartan.term import Term, check, needs_gradient, watched
from tartan.weighting import Needs, Signals, Weighting


def backward(
    terms: Sequence[Term],
    weighting: Weighting,
    shared: Shared,
    *,
    dev: Term | None = None,
    needs: Needs | None = None,
    generator: torch.Generator | None = None,
    scale: float = 1.0,
    active: Sequence[int] | None = None,
) -> Signals:
    """Set `.grad` to the weighted sum of the terms' gradients; measure what the weighting needs.

    Gradients are set, not added to: one call takes the whole effective batch, so that inner
    products are those of the whole batch. Afterwards every shared parameter has a dense `.grad`.
    A weighting's own parameters get the gradient of its `loss`.

    Args:
        terms: one for each objective, the primary first.
        weighting: gives the weights.
        shared: the parameters whose gradients are measured.
        dev: the dev loss; required if DEV is needed. Its gradient is not part of `.grad`.
        needs: what to measure, `weighting.due(step)` in a loop; `weighting.needs` if None.
        generator: for the weighting's random choices in this step, on the CPU; torch's global
            generator if None.
        scale: losses are multiplied by it before the backward pass, and gradients divided by it
            after it, before anything is measured: in float16 small gradients would be 0.
        active: the indices of the terms' objectives among those that are weighed, ascending; None
            if there is a term for each. `.grad` of the parameters of other heads is left as it is.

    Returns:
        Signals on the shared parameters' device, over all objectives that are weighed. Nothing here
        waits for the device.

    Raises:
        ValueError, TypeError: an argument cannot be used: DEV is needed and `dev` is None, terms
            are not as many as objectives, a loss is not one number, or it reaches a trainable
            parameter that is neither shared nor private. The message names the argument. Or a loss
            does not require a gradient.
        PluginError: the weighting's loss depends on none of its parameters.
    """
    if not isinstance(weighting, Weighting):
        raise TypeError(
            f"weighting must be a tartan.Weighting, got {type(weighting).__name__}: the arguments "
            "are terms, weighting, shared"
        )
    needs = weighting.needs if needs is None else needs
    if Needs.DEV in needs and dev is None:
        raise ValueError(
            "the weighting needs the dev gradient: pass dev=Term(...); needs=weighting.due(step) "
            "leaves it out in steps that do not measure it"
        )
    weighed = len(weighting.weights()) if active is None else len(active)
    check(terms, shared, dev, weighed)
    dev = dev if Needs.DEV in needs else None
    terms, dev = watched(terms, shared, dev)
    _clear(terms)
    some = None if active is None else Active(active, len(weighting.weights()), shared.device)
    if Needs.GRADIENTS in needs:
        signals = _gramian(terms, weighting, shared, dev, generator, scale, some)
    elif dev is not None:
        signals = _stream(terms, _weights(weighting, shared, some), shared, dev, scale)
    else:
        signals = _sum(terms, _weights(weighting, shared, some), shared, scale)
        if weighting.signed:
            _spare(terms, signals.weights)
    if some is not None and signals.active is None:
        signals = some.signals(signals)
    signals = replace(signals, generator=generator)
    differentiate(weighting, signals)
    return signals


def differentiate(weighting: Weighting, signals: Signals) -> None:
    """Set `.grad` of a weighting's parameters, if it has any, to the gradient of its loss.

    Raises:
        PluginError: its loss depends on none of them.
    """
    parameters = [p for p in weighting.parameters() if p.requires_grad]
    if not parameters:
        return
    loss = weighting.loss(signals)
    if not loss.requires_grad:
        raise PluginError(
            f"the loss of the weighting {type(weighting).__name__} depends on none of its "
            "parameters: override `loss`; `combine` is not differentiated. A parameter that is "
            "not to be trained is a buffer"
        )
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient


def _sum(terms: Sequence[Term], weights: Tensor, shared: Shared, scale: float) -> Signals:
    """Take one weighted sum and one backward pass for each micro-batch."""
    losses = [torch.zeros((), device=shared.device) for _ in terms]
    shared.clear()
    for micro in zip_longest(*(term.pieces for term in terms)):
        if not any(micro):
            continue
        total = torch.zeros((), device=shared.device)
        for index, piece in enumerate(micro):
            if piece is not None:
                value = piece() * terms[index].per_item
                losses[index] += value.detach()
                total = total + weights[index] * value
        needs_gradient(total)
        (total * scale).backward()
    shared.give(shared.unscaled(shared.take(), scale))
    for parameter in {p for term in terms for p in term.private if p.grad is not None}:
        parameter.grad = _unscaled(parameter.grad, scale)
    total, _, _ = shared.totals(torch.stack(losses))
    return Signals(total, weights)


def _stream(
    terms: Sequence[Term], weights: Tensor, shared: Shared, dev: Term, scale: float
) -> Signals:
    """Take one gradient at a time; hold it, the dev gradient and the weighted sum only."""
    dev_gradient = _dev_gradient(dev, terms, shared, scale)
    total = shared.none
    losses, inner, norms, heads = [], [], [shared.norm(dev_gradient)], []
    for term, weight in zip(terms, weights, strict=True):
        loss, gradient = _gradient(term, shared, scale)
        losses.append(loss)
        inner.append(shared.product(gradient, dev_gradient))
        norms.append(shared.norm(gradient))
        total = shared.add(total, gradient, weight)
        del gradient  # before the next one is computed
        heads.append(_take(term, scale))
    _give(terms, heads, weights)
    shared.give(total)
    summed, dev_products, every = shared.totals(
        torch.stack(losses), torch.stack(inner), torch.stack(norms)
    )
    return Signals(summed, weights, norms=every[1:], dev=dev_products, dev_norm=every[0])


def _gramian(
    terms: Sequence[Term],
    weighting: Weighting,
    shared: Shared,
    dev: Term | None,
    generator: torch.Generator | None,
    scale: float,
    some: Active | None,
) -> Signals:
    """Take all gradients at once, [objectives, size], for weights that depend on their Gramian."""
    flat_dev = None
    if dev is not None:
        flat_dev = shared.flatten(_dev_gradient(dev, terms, shared, scale), shared.flat())
    gradients = shared.flat(len(terms))
    losses, heads = [], []
    for term, row in zip(terms, gradients, strict=True):
        loss, gradient = _gradient(term, shared, scale)
        shared.flatten(gradient, row)
        del gradient
        losses.append(loss)
        heads.append(_take(term, scale))
    inner = [products(gradients, gradients)]  # [objectives, objectives], then [objectives, 1]
    norms = gradients.new_empty(0)
    if flat_dev is not None:
        inner.append(products(gradients, flat_dev[None]))
        norms = torch.linalg.vector_norm(flat_dev)
    summed, measured, norms = shared.totals(torch.stack(losses), torch.cat(inner, 1), norms)
    gramian = measured[:, : len(terms)]
    signals = Signals(
        summed,
        _weights(weighting, shared, some),
        norms=gramian.diagonal().sqrt(),
        gramian=gramian,
        dev=None if flat_dev is None else measured[:, -1],
        dev_norm=None if flat_dev is None else norms,
        generator=generator,
    )
    signals = signals if some is None else some.signals(signals)
    combined = weighting.combine(signals).detach().to(shared.device, copy=True)
    weights = combined if some is None else some.of(combined)
    _give(terms, heads, weights)
    shared.give_flat(gradients.T @ weights.to(gradients))
    return replace(signals, weights=weights if some is None else some.spread(weights))


def _weights(weighting: Weighting, shared: Shared, some: Active | None) -> Tensor:
    """Return a copy of the terms' current weights, which a later update does not change."""
    if some is None:
        return weighting.weights().detach().to(shared.device, copy=True)
    return some.of(weighting.applied(some.mask).detach().to(shared.device))


def _dev_gradient(dev: Term, terms: Sequence[Term], shared: Shared, scale: float) -> Gradient:
    """Return the dev gradient; drop that of heads through which the dev loss was computed."""
    _, gradient = _gradient(dev, shared, scale)
    _clear(terms)
    return gradient


def _gradient(term: Term, shared: Shared, scale: float) -> tuple[Tensor, Gradient]:
    """Return a term's mean loss, [], and its gradient on the shared parameters."""
    shared.clear()
    loss = torch.zeros((), device=shared.device)
    for piece in filter(None, term.pieces):
        value = piece() * term.per_item
        needs_gradient(value)
        (value * scale).backward(retain_graph=term.retain)
        loss += value.detach()
    return loss, shared.unscaled(shared.take(), scale)


def _clear(terms: Sequence[Term]) -> None:
    """Drop the terms' private gradients."""
    for term in terms:
        for parameter in term.private:
            parameter.grad = None


def _take(term: Term, scale: float) -> list[Tensor | None]:
    """Return a term's private gradients, divided by a scale, and set each to None."""
    taken = []
    for parameter in term.private:
        taken.append(_unscaled(parameter.grad, scale))
        parameter.grad = None  # so that one that is listed twice counts once
    return taken


def _unscaled(gradient: Tensor | None, scale: float) -> Tensor | None:
    """Return a gradient divided by the scale of its loss."""
    return gradient if gradient is None or scale == 1 else gradient / scale


def _spare(terms: Sequence[Term], weights: Tensor) -> None:
    """Set private gradients of terms with negative weights to 0, after one pass for all terms.

    Of a parameter that is private to several terms, only the sum is known: one such term is enough.
    """
    for term, weight in zip(terms, weights, strict=True):
        for parameter in term.private:
            if parameter.grad is not None:
                parameter.grad = parameter.grad * (weight >= 0)


def _give(terms: Sequence[Term], heads: Sequence[Sequence[Tensor | None]], weights: Tensor) -> None:
    """Set private gradients, weighted; a parameter that is private to two terms gets the sum.

    A negative weight counts 0: no head is trained against its own loss.
    """
    for term, gradients, weight in zip(terms, heads, weights.clamp(min=0), strict=True):
        for parameter, gradient in zip(term.private, gradients, strict=True):
            if gradient is not None:
                weighted = gradient * weight
                parameter.grad = weighted if parameter.grad is None else parameter.grad + weighted
