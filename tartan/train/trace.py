"""A step that was not finite, computed again to say where: which objective, which rows."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tartan.train.finite import SpoiledError
from tartan.train.stage import Setup, Stage

SHOWN = 8
"""How many rows a line names."""


def trace(setup: Setup, stage: Stage, spoiled: SpoiledError) -> str:
    """What is not finite in a step, in a line.

    Args:
        setup: what is trained.
        stage: the stage, with the parameters the step had.
        spoiled: the step.
    """
    when = f"at step {spoiled.step + 1}"
    first = spoiled.step * setup.accumulate
    for name in stage.names:
        for number in range(first, first + setup.accumulate):
            rows = setup.streams[name].indices(number)
            if wrong := _wrong(setup, stage.replay(name, number, rows)):
                return f"{name}: the {wrong} {when}, {_where(setup, stage, name, number)}"
    dev = stage.replay_dev(spoiled.step)
    if dev is not None and (wrong := _wrong(setup, dev)):
        return f"the dev gradient: the {wrong} {when}"
    if not spoiled.weights.isfinite().all():
        weights = dict(zip(stage.names, spoiled.weights.tolist(), strict=True))
        return f"the weighting gives weights that are not finite {when}: {weights}"
    return f"the weighted sum of the gradients is not finite {when}, though each of them is"


def _wrong(setup: Setup, loss: Tensor) -> str:
    """`loss is nan`, or `gradient is not finite`; nothing where both are finite."""
    if not loss.isfinite():
        return f"loss is {loss.item()}"
    if not loss.requires_grad:
        return ""
    moved = [parameter for parameter in setup.model.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(loss, moved, allow_unused=True)
    finite = all(bool(g.isfinite().all()) for g in gradients if g is not None)
    return "" if finite else "gradient is not finite"


def _where(setup: Setup, stage: Stage, name: str, number: int) -> str:
    """The rows at which to look: those that are not finite by themselves, or the whole batch."""
    rows = setup.streams[name].indices(number)
    bad: list[int] = []
    if setup.model.objective(name).separable:
        bad = [row for row in rows if _wrong(setup, stage.replay(name, number, [row]))]
    if bad and len(bad) < len(rows):
        return f"on {_list(bad)} of its examples (counted from 0)"
    each = "each" if bad else "none"
    return f"on {_list(rows)} of its examples (counted from 0; {each} of them by itself)"


def _list(rows: Sequence[int]) -> str:
    shown = ", ".join(map(str, sorted(rows)[:SHOWN]))
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return f"row{'s' * (len(rows) > 1)} {shown}{more}"
