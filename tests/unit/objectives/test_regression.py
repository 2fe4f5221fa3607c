"""Regression: outputs in the labels' own unit, a loss in none, scores that are always numbers."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from support.context import ROWS as SEQUENCES
from support.context import TinyContext
from tartan import ProbeOptions, Row
from tartan.testing import FAMILIES, tiny_source
from tartan.train.model import JointModel
from tartan.train.probe import DevGradient
from tartan.train.runtime import Runtime
from tartan_objectives.regression import Regression, RegressionOptions, centre

ROWS: Sequence[Row] = [
    {**row, "label": value}
    for row, value in zip(SEQUENCES, (0.5, 4.0, -2.0, 1.5, 0.0, 3.0, 2.5, -1.0), strict=True)
]


class NumberContext(TinyContext):
    """Its labels are multiplied by `unit`."""

    unit = 1.0

    def labelled(self) -> Sequence[Row]:
        return [{**row, "label": self.unit * row["label"]} for row in ROWS]


@pytest.fixture
def given() -> Iterator[NumberContext]:
    with torch.random.fork_rng():
        yield NumberContext(labels=("score",))


@pytest.fixture
def objective(given: NumberContext) -> Regression:
    return Regression(RegressionOptions(), given).eval()


def test_the_head_has_one_output(objective: Regression, given: NumberContext):
    batch = objective.collate(ROWS, torch.Generator())
    assert objective.predict(given.body(batch.inputs), batch).shape == (8, 1)
    assert objective.probe(0.1)(torch.randn(5, given.hidden_size)).shape == (5, 1)


def test_the_criterion_is_the_summed_squared_error_over_the_variance(objective: Regression):
    batch = objective.collate(ROWS[:3], torch.Generator())
    outputs = torch.tensor([[1.0], [3.0], [-2.0]])
    variance = torch.tensor([row["label"] for row in ROWS]).var(correction=0)
    assert_close(objective.criterion(outputs, batch), (0.25 + 1) / variance)
    assert batch.items == 3


@pytest.mark.parametrize("unit", [1.0, 1000.0])
def test_the_loss_begins_near_1_in_any_unit(given: NumberContext, unit: float):
    given.unit = unit
    objective = Regression(RegressionOptions(), given).eval()
    batch = objective.collate(given.labelled(), torch.Generator())
    found = objective.loss(given.body.eval()(batch.inputs), batch).total / batch.items
    assert 0.5 < found.item() < 2
    probe = objective.probe(0.0)(torch.zeros(8, given.hidden_size))
    assert objective.criterion(probe, batch).item() / batch.items < 2


def test_labels_that_do_not_vary_have_a_loss(given: NumberContext):
    given.unit = 0.0
    objective = Regression(RegressionOptions(), given)
    batch = objective.collate(given.labelled(), torch.Generator())
    assert objective.criterion(torch.ones(8, 1), batch) == 8


def test_a_new_head_begins_at_the_mean_and_a_trained_one_where_it_is():
    layers = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    nn.init.zeros_(layers[1].bias)
    before = layers[0].bias.clone()
    assert centre(layers, 2.5)[1].bias.item() == 2.5
    assert centre(layers, 7.0)[1].bias.item() == 2.5
    assert torch.equal(layers[0].bias, before)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_familys_own_head_begins_at_the_mean(family: str):
    with torch.random.fork_rng():
        given = NumberContext(source=tiny_source(family), labels=("score",))
        objective = Regression(RegressionOptions(), given)
    biases = [p for n, p in objective.head.named_parameters() if n.endswith("bias") and len(p) == 1]
    assert [bias.item() for bias in biases] == [pytest.approx(1.0625)]


def test_a_few_steps_bring_the_outputs_to_the_labels(objective: Regression, given: NumberContext):
    batch = objective.collate(ROWS, torch.Generator())
    parameters = [*objective.parameters(), *given.body.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=5e-3)
    given.body.eval()
    for _ in range(150):
        optimiser.zero_grad()
        objective.loss(given.body(batch.inputs), batch).total.backward()
        optimiser.step()
    outputs = objective.predict(given.body(batch.inputs), batch).detach()
    assert_close(outputs.squeeze(1), batch.targets["labels"], rtol=0, atol=0.3)
    assert objective.score(outputs, ROWS)["r2"] > 0.9


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def labelled(*values: float) -> list[Row]:
    return [{"label": value} for value in values]


def test_correlations_ignore_the_unit_and_the_share_of_variance_does_not(objective: Regression):
    scores = objective.score(column(10, 20, 30, 40), labelled(1, 2, 3, 4))
    assert scores["pearson"] == pytest.approx(1)
    assert scores["spearman"] == pytest.approx(1)
    assert scores["r2"] < 0
    assert objective.score(column(1, 2, 3, 4), labelled(1, 2, 3, 4))["r2"] == 1


def test_spearman_looks_at_ranks_alone(objective: Regression):
    scores = objective.score(column(1, 10, 100, 1000), labelled(1, 2, 3, 4))
    assert scores["spearman"] == pytest.approx(1)
    assert scores["pearson"] < 0.95


@pytest.mark.parametrize(
    ("outputs", "labels"),
    [
        ([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]),
        ([1.0], [2.0]),
        ([float("nan"), 1.0, 2.0], [1.0, 2.0, 3.0]),
        ([float("inf"), 1.0, 2.0], [1.0, 2.0, 3.0]),
    ],
)
@pytest.mark.filterwarnings("error")
def test_scores_are_finite_whatever_comes_out(
    objective: Regression, outputs: list[float], labels: list[float]
):
    scores = objective.score(column(*outputs), labelled(*labels))
    assert tuple(scores) == objective.metrics
    assert all(abs(value) < float("inf") for value in scores.values())


def test_what_does_not_vary_correlates_with_nothing(objective: Regression):
    scores = objective.score(column(2, 2, 2), labelled(1, 2, 3))
    assert (scores["pearson"], scores["spearman"]) == (0.0, 0.0)


def test_the_dev_gradient_reaches_the_body(objective: Regression, given: NumberContext):
    model = JointModel(given.body, "task", {"task": objective})
    runtime = Runtime(torch.device("cpu"), "fp32")
    DevGradient(model, ROWS, ProbeOptions(), runtime, seed=0).term(step=0).pieces[0]().backward()
    assert all(p.grad is not None for p in given.body.parameters())
