"""The cost shown before a run is the number of passes that a step makes."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from support.context import ROWS, TinyContext
from support.problems import Fixed
from tartan import CorpusOptions, Needs, Objective, Shared, Term, backward
from tartan.testing import tiny_source
from tartan.train.cost import step_cost
from tartan.train.losses import Losses
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime
from tartan_objectives.classification import Classification, ClassificationOptions
from tartan_objectives.clm import CLM
from tartan_objectives.mlm import MLM, MLMOptions
from tartan_objectives.rdrop import RDrop, RDropOptions
from tartan_objectives.vat import VAT, VATOptions


class Counting:
    """Objectives on a tiny body whose passes are counted as they are made."""

    def __init__(self, *auxiliaries: str, family: str = "bert") -> None:
        with torch.random.fork_rng():
            given = TinyContext(tiny_source(family))
            task = Classification(ClassificationOptions(), given)
            given.primary = task
            others: dict[str, Callable[[], Objective]] = {
                "mlm": lambda: MLM(MLMOptions(), given),
                "clm": lambda: CLM(CorpusOptions(), given),
                "rdrop": lambda: RDrop(RDropOptions(), given),
                "vat": lambda: VAT(VATOptions(iterations=2), given),
            }
            objectives = {"task": task, **{name: others[name]() for name in auxiliaries}}
        self.model = JointModel(given.body, "task", objectives).train()
        self.forwards = self.backwards = 0
        given.body.register_forward_hook(self.count)

    def count(self, _: nn.Module, __: object, hidden: torch.Tensor) -> None:
        self.forwards += 1
        if hidden.requires_grad:
            hidden.register_hook(self.count_backward)

    def count_backward(self, _: torch.Tensor) -> None:
        self.backwards += 1

    def step(self, needs: Needs, micro: int) -> None:
        """The forward and backward passes of a step's objectives, without a dev gradient."""
        losses = Losses(self.model, Runtime(torch.device("cpu"), "fp32"), seed=0)
        losses.begin()
        together = needs == Needs.LOSSES and self.model.body.reads_packed
        batches = {
            name: self.model.objective(name).collate(ROWS, torch.Generator().manual_seed(0))
            for name in self.model.names
        }
        pieces = [
            part for n in range(micro) for part in losses.passes(n, batches, together=together)
        ]
        terms = [
            Term([part[name] for part in pieces], 1, self.model.private(name))
            for name in self.model.names
        ]
        weighting = Fixed(torch.ones(len(terms)), needs)
        backward(terms, weighting, Shared(self.model.shared()), needs=needs)


@pytest.mark.parametrize("needs", [Needs.LOSSES, Needs.LOSSES | Needs.GRADIENTS])
@pytest.mark.parametrize(
    ("auxiliaries", "family"),
    [
        ((), "bert"),
        (("mlm",), "bert"),
        (("mlm", "clm"), "bert"),
        (("mlm", "rdrop", "vat"), "bert"),
        (("mlm", "rdrop"), "mpnet"),
        (("clm",), "gpt2"),
    ],
)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_declared_passes_are_those_of_a_step(
    needs: Needs, auxiliaries: tuple[str, ...], family: str, accumulate: int
):
    counting = Counting(*auxiliaries, family=family)
    objectives = [counting.model.objective(name) for name in counting.model.names]
    body = counting.model.body
    expected = step_cost(
        needs, objectives, reads_packed=body.reads_packed, causal=body.causal, accumulate=accumulate
    )
    counting.step(needs, accumulate)
    assert (counting.forwards, counting.backwards) == (expected.forwards, expected.backwards)


def test_a_dev_gradient_costs_two_passes_forward_and_one_backward():
    counting = Counting("mlm", "vat")
    objectives = [counting.model.objective(name) for name in counting.model.names]
    found = step_cost(Needs.LOSSES | Needs.DEV, objectives, reads_packed=True, accumulate=2)
    # Twice: the end task's pass, mlm's, and the 4 forward and 3 backward of vat with 2 iterations.
    assert (found.forwards, found.backwards, found.copies) == (2 * 6 + 2, 2 * 5 + 1, 3)
