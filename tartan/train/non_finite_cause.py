"""A non-finite step, computed again to find the cause: which objective, which rows."""

from collections.abc import Sequence

from torch import Tensor

from tartan.backward import differentiate
from tartan.distributed.sharded import local
from tartan.train.finite import NonFiniteError
from tartan.train.setup import Setup
from tartan.train.stage import Stage
from tartan.weighting import Signals, Weighting

SHOWN = 8
"""Number of rows that a line names."""


def find_cause(setup: Setup, stage: Stage, error: NonFiniteError) -> str:
    """Find what is not finite in a step, and say so in one line.

    Args:
        setup: what is trained.
        stage: the stage, with the parameters the step had.
        error: the step; its gradients are dropped.
    """
    stage.step.wait()  # streams are read by one thread at a time
    setup.model.zero_grad()
    when = f"at step {error.step + 1}"
    first = error.step * setup.accumulate
    numbers = range(first, first + setup.accumulate)
    computed = stage.step.turns.names(error.step)
    for position, name in enumerate(stage.names):
        if name not in computed:
            continue
        found = {number: _again(setup, stage, name, number) for number in numbers}
        found = {number: wrong for number, wrong in found.items() if wrong}
        if wrong := _measured(error.signals, position) or next(iter(found.values()), ""):
            where = _where(setup, stage, name, next(iter(found), first))
            return f"{name}: the {wrong} {when}, {where}"
    dev = stage.step.replay_dev(error.step)
    if dev is not None and (wrong := _wrong(setup, dev)):
        return f"the dev gradient: the {wrong} {when}"
    weights = dict(zip(stage.names, error.signals.weights.tolist(), strict=True))
    if not error.signals.weights.isfinite().all():
        return f"the weighting gives weights that are not finite {when}: {weights}"
    if _learns_non_finite(stage.weighting, error.signals):
        return f"the gradient of the weighting's own parameters is not finite {when}"
    return f"the weighted sum of the gradients is not finite {when}, though each of them is"


def _learns_non_finite(weighting: Weighting, signals: Signals) -> bool:
    """Return whether the gradient of a weighting's own parameters is not finite."""
    differentiate(weighting, signals)
    gradients = (parameter.grad for parameter in weighting.parameters())
    return not all(bool(g.isfinite().all()) for g in gradients if g is not None)


def _measured(signals: Signals, position: int) -> str:
    """Return what the step itself measured of an objective: `loss is nan`, or nothing."""
    loss, norms = signals.losses[position], signals.norms
    if not loss.isfinite():
        return f"loss is {loss.item()}"
    return "" if norms is None or norms[position].isfinite() else "gradient is not finite"


def _again(setup: Setup, stage: Stage, name: str, number: int) -> str:
    """Compute a micro-batch again; return what is not finite in it."""
    return _wrong(setup, stage.step.replay(name, number, stage.step.rows(name, number)))


def _wrong(setup: Setup, loss: Tensor) -> str:
    """Return `loss is nan` or `gradient is not finite`; nothing if both are finite."""
    if not loss.isfinite():
        return f"loss is {loss.item()}"
    if not loss.requires_grad:
        return ""
    moved = [parameter for parameter in setup.model.parameters() if parameter.requires_grad]
    loss.backward()
    found = [local(p.grad) for p in moved if p.grad is not None]
    setup.model.zero_grad()
    bad = not all(bool(g.isfinite().all()) for g in found)
    return "gradient is not finite" if setup.ranks.largest(int(bad)) else ""


def _where(setup: Setup, stage: Stage, name: str, number: int) -> str:
    """Return the rows to look at: those that are not finite by themselves, or the full batch."""
    rows = stage.step.rows(name, number)
    bad: list[int] = []
    if setup.model.objective(name).separable:
        bad = [row for row in rows if _wrong(setup, stage.step.replay(name, number, [row]))]
    if bad and len(bad) < len(rows):
        return f"on {_list(bad)} of its examples (counted from 0)"
    each = "each" if bad else "none"
    return f"on {_list(rows)} of its examples (counted from 0; {each} of them by itself)"


def _list(rows: Sequence[int]) -> str:
    shown = ", ".join(map(str, sorted(rows)[:SHOWN]))
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return f"row{'s' * (len(rows) > 1)} {shown}{more}"
