"""An objective defines `loss`, or overrides `compute`."""

import pytest

from support.breakers import Options
from support.context import ROWS, TinyContext
from tartan import Batch, Loss, Objective, Packed
from tartan.objective import calls_body
from tartan.plugins import _check


class Neither(Objective):
    Options = Options

    def __init__(self, options, context):
        super().__init__(options, context)

    def examples(self):
        return ROWS

    def collate(self, rows, rng):
        return Batch(Packed.of_rows(rows), len(rows))


class Scores(Neither):
    def loss(self, hidden, batch):
        return Loss(hidden.sum())


class Calls(Neither):
    def compute(self, body, batch):
        return Loss(body(batch.inputs).sum())


def test_an_objective_that_defines_neither_is_refused(given: TinyContext):
    with pytest.raises(TypeError, match="Neither must define loss or compute"):
        Neither(Options(), given)
    with pytest.raises(TypeError, match="gives 'mine', which lacks loss"):
        _check("mine", Neither, Objective)


@pytest.mark.parametrize("cls", [Scores, Calls])
def test_either_is_enough(cls: type[Objective], given: TinyContext):
    _check("mine", cls, Objective)
    objective = cls(Options(), given)
    batch = objective.collate(ROWS, None)
    body = given.body.eval()
    assert objective.compute(body, batch).total == body(batch.inputs).sum()
    assert calls_body(cls) == (cls is Calls)


def test_an_objective_that_calls_the_body_has_no_loss_of_given_hidden_states(given: TinyContext):
    with pytest.raises(TypeError, match="Calls defines compute only"):
        Calls(Options(), given).loss(None, None)
