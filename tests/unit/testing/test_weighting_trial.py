"""The signals a weighting is tried with are those that the engine would measure."""

from dataclasses import fields

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from support.breakers import Options
from support.weighting_breakers import Learning
from tartan import Needs, Shared, Signals, Term, backward
from tartan.testing import Broken
from tartan.testing.weighting_trial import SIZE, Measured, Undeclared, extremes, spent

NAMES = ("task", "one", "two")


class Asking(Learning):
    def __init__(self, needs: Needs) -> None:
        super().__init__(Options(), NAMES)
        self.needs = needs


@pytest.mark.parametrize(
    "needs",
    [
        Needs.LOSSES,
        Needs.LOSSES | Needs.DEV,
        Needs.LOSSES | Needs.GRADIENTS,
        Needs.LOSSES | Needs.GRADIENTS | Needs.DEV,
    ],
)
def test_signals_are_those_of_the_engine(needs: Needs):
    measured, weighting = Measured.of(3, step=5), Asking(needs)
    body = nn.Parameter(torch.zeros(SIZE))
    pairs = zip(measured.gradients, measured.losses, strict=True)
    terms = [Term([lambda g=g, at=at: g @ body + at]) for g, at in pairs]
    dev = Term([lambda: measured.dev @ body])
    expected = backward(terms, weighting, Shared([body]), dev=dev)
    found = measured.signals(needs, weighting.weights())
    for field in fields(Signals):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        assert (one is None) == (other is None), field.name
        if one is not None:
            assert_close(one, other)


@pytest.mark.parametrize(
    ("needs", "passes"),
    [
        (Needs.LOSSES, 1),
        (Needs.LOSSES | Needs.DEV, 4),
        (Needs.LOSSES | Needs.GRADIENTS, 3),
        (Needs.LOSSES | Needs.GRADIENTS | Needs.DEV, 4),
    ],
)
def test_passes_are_counted(needs: Needs, passes: int):
    assert spent(Asking(needs), 3, step=0) == (passes, 3)


def test_extremes_are_finite():
    for name, measured in extremes(4).items():
        signals = measured.signals(Needs.GRADIENTS | Needs.DEV, torch.ones(4))
        for field in fields(Signals):
            value = getattr(signals, field.name)
            assert value is None or value.isfinite().all(), (name, field.name)


def test_a_signal_that_was_not_declared_cannot_be_read_not_even_to_find_it_missing():
    signals = Measured.of(3, 0).signals(Needs.DEV, torch.ones(3))
    guarded = Undeclared.guard(Needs.LOSSES | Needs.DEV, signals)
    assert guarded.dev is signals.dev
    assert guarded.alignment is not None
    with pytest.raises(Broken, match=r"reads signals\.gramian"):
        _ = guarded.gramian
