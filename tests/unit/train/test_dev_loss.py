"""The probe: features once, fitted on some dev rows, the dev gradient on others."""

import copy
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from support.context import ROWS, TinyContext
from tartan import Batch, ConfigError, ProbeOptions, Row
from tartan.probe import fit
from tartan.seeding import seeded
from tartan.train.dev_loss import DevLoss
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime
from tartan_objectives.classification import Classification, ClassificationOptions

CPU = Runtime(torch.device("cpu"), "fp32")


@pytest.fixture
def model() -> JointModel:
    with torch.random.fork_rng():
        given = TinyContext()
        task = Classification(ClassificationOptions(), given)
    return JointModel(given.body, "task", {"task": task})


def dev_loss(model: JointModel, rows: Sequence[Row] = ROWS, **options: float) -> DevLoss:
    return DevLoss(model, rows, ProbeOptions(**options), CPU, seed=0)


class Counting(nn.Module):
    """Counts the passes of a body."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body, self.passes, self.rows = body, 0, []

    def forward(self, packed):
        self.passes += 1
        self.rows.append({tuple(s.tolist()) for s in packed.input_ids.split(packed.lengths)})
        return self.body(packed)


def test_a_fit_reads_the_body_once_and_the_gradient_other_rows(model: JointModel):
    counting = Counting(model.body)
    model.body = counting
    term = dev_loss(model, steps=10, tolerance=0.0).term(step=5)
    assert counting.passes == 1
    for piece in term.pieces:
        piece().backward()
    assert counting.passes == 2
    fitted, graded = counting.rows
    assert fitted
    assert graded
    assert not fitted & graded


def test_the_body_gets_the_gradient_and_nothing_else_does(model: JointModel):
    term = dev_loss(model).term(step=0)
    assert term.private == ()
    term.pieces[0]().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.body.parameters())
    assert all(p.grad is None for p in model.private("task"))


def test_the_dev_term_is_a_function_of_the_step_alone(model: JointModel):
    before = torch.get_rng_state()
    again = [dev_loss(model).term(step=4).pieces[0]() for _ in range(2)]
    other = dev_loss(model).term(step=5).pieces[0]()
    assert torch.equal(*again)
    assert not torch.equal(again[0], other)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_body_runs_without_dropout_and_is_put_back(model: JointModel):
    model.train()
    term = dev_loss(model).term(step=0)
    assert torch.equal(term.pieces[0](), term.pieces[0]())
    assert model.body.training


class Prepared(Classification):
    """An end task whose criterion reads targets that `prepare` adds, as its contract allows."""

    def prepare(self, batch: Batch) -> Batch:
        return replace(batch, targets={"prepared": batch.targets["labels"]})

    def criterion(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        labels = batch.targets["prepared"]
        return super().criterion(outputs, replace(batch, targets={"labels": labels}))


def test_the_criterion_reads_a_prepared_batch(model: JointModel):
    expected = dev_loss(model).term(step=0).pieces[0]()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        task = Prepared(ClassificationOptions(), TinyContext())
    found = dev_loss(JointModel(model.body, "task", {"task": task})).term(step=0).pieces[0]()
    assert torch.equal(found, expected)


def test_fitting_lowers_the_loss(model: JointModel):
    torch.manual_seed(0)
    features, labels = torch.randn(32, 16), torch.randint(3, (32,))
    steps: list[float] = []

    def loss(head: nn.Module) -> torch.Tensor:
        value = nn.functional.cross_entropy(head(features), labels)
        steps.append(value.item())
        return value

    probe = fit(model.end_task.probe(0.0), loss, ProbeOptions(steps=10, tolerance=0.0, lr=1e-2))
    assert len(steps) == 10
    assert steps[-1] < steps[0]
    assert not any(p.requires_grad for p in probe.parameters())


def test_once_the_loss_stands_still_nothing_moves(model: JointModel):
    torch.manual_seed(0)
    features, labels = torch.randn(32, 16), torch.randint(3, (32,))
    fresh = model.end_task.probe(0.0)

    def fitted(**options: float) -> nn.Module:
        def loss(head: nn.Module) -> torch.Tensor:
            return nn.functional.cross_entropy(head(features), labels)

        return fit(copy.deepcopy(fresh), loss, ProbeOptions(**options))

    stopped, short = fitted(steps=10, tolerance=1e9), fitted(steps=2, tolerance=0.0)
    for one, other in zip(stopped.parameters(), short.parameters(), strict=True):
        assert torch.equal(one, other)
    longer = fitted(steps=3, tolerance=0.0)
    assert not torch.equal(next(stopped.parameters()), next(longer.parameters()))


def test_few_rows_are_shared_between_fit_and_gradient(model: JointModel):
    counting = Counting(model.body)
    model.body = counting
    term = dev_loss(model, ROWS[:2]).term(step=0)
    term.pieces[0]()
    assert [len(rows) for rows in counting.rows] == [1, 1]
    assert term.items == 1


def test_one_row_cannot_be_shared(model: JointModel):
    with pytest.raises(ConfigError, match="has 1 rows: the dev gradient needs at least 2"):
        dev_loss(model, ROWS[:1])


def test_the_gradient_is_that_of_the_mean_dev_loss(model: JointModel):
    """Written out: with a rate of 0 the probe stays as it was made."""
    dev = dev_loss(model, steps=1, lr=0.0)
    _, batch = dev.batches(0)
    with seeded(0, "probe", 0):
        probe = model.end_task.probe(ProbeOptions().dropout).eval()
    model.eval()
    features = model.end_task.features(model.body(batch.inputs), batch)
    loss = nn.functional.cross_entropy(probe(features), batch.targets["labels"])
    parameters = list(model.body.parameters())
    expected = torch.autograd.grad(loss, parameters)
    model.train()
    term = dev.term(step=0)
    assert term.items == batch.items
    term.pieces[0]().backward()
    for parameter, gradient in zip(parameters, expected, strict=True):
        assert_close(parameter.grad / term.items, gradient)
