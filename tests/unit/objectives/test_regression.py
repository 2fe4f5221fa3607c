"""Regression: trained on standardised labels, scored and exported in the labels' own unit."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from transformers import AutoModelForSequenceClassification

from support.context import ROWS as SEQUENCES
from support.context import TinyContext
from tartan import DataError, ModelError, ProbeOptions, Row, Unit
from tartan.body import AutoOptions, ModelSource, export
from tartan.testing import FAMILIES, save_tiny, tiny_source
from tartan.train.dev_loss import DevLoss
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime
from tartan_objectives.regression import Regression, RegressionOptions

DECODERS = ("gpt2", "qwen3")
"""Their heads have no bias."""
ROWS: Sequence[Row] = [
    {**row, "label": value}
    for row, value in zip(SEQUENCES, (0.5, 4.0, -2.0, 1.5, 0.0, 3.0, 2.5, -1.0), strict=True)
]


class NumberContext(TinyContext):
    """Its labels are multiplied by `factor`, and `offset` is added."""

    factor, offset = 1.0, 0.0

    def labelled(self) -> Sequence[Row]:
        return [{**row, "label": self.factor * row["label"] + self.offset} for row in ROWS]


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


def test_the_criterion_is_the_summed_squared_error_of_standardised_labels(objective: Regression):
    batch = objective.collate(ROWS, torch.Generator())
    labels = batch.targets["labels"]
    assert_close(labels.mean(), torch.tensor(0.0), atol=1e-6, rtol=0)
    assert_close(labels.std(correction=0), torch.tensor(1.0))
    outputs = labels[:, None] + torch.arange(8)[:, None]
    assert_close(objective.criterion(outputs, batch), torch.tensor(140.0))
    assert batch.items == 8


UNITS = [
    (1.0, 0.0),
    (1e5, 0.0),
    (1 / 8, 0.0),
    (-1.0, 0.0),
    (1.0, 2000.0),
    (-3e-7, 0.1),
    (1e25, 7.0),
]


@pytest.mark.parametrize(("factor", "offset"), UNITS)
def test_standardised_labels_are_the_same_in_every_affine_unit(
    given: NumberContext, objective: Regression, factor: float, offset: float
):
    expected = objective.collate(ROWS, torch.Generator()).targets["labels"]
    given.factor, given.offset = factor, offset
    other = Regression(RegressionOptions(), given).eval()
    batch = other.collate(given.labelled(), torch.Generator())
    assert_close(batch.targets["labels"], expected, atol=1e-6, rtol=1e-6)
    restored = other.in_label_units(batch.targets["labels"][:, None]).squeeze(1)
    labels = torch.tensor([row["label"] for row in given.labelled()])
    assert_close(restored, labels, rtol=1e-5, atol=1e-6 * abs(factor))


def test_the_loss_begins_near_1_in_any_unit(given: NumberContext):
    given.factor, given.offset = 1000.0, -5e6
    objective = Regression(RegressionOptions(), given).eval()
    batch = objective.collate(given.labelled(), torch.Generator())
    loss = objective.loss(given.body.eval()(batch.inputs), batch).total / batch.items
    assert 0.5 < loss.item() < 2
    probe = objective.probe(0.0)(torch.zeros(8, given.hidden_size))
    assert 0.5 < objective.criterion(probe, batch).item() / batch.items < 2


@pytest.mark.parametrize("label", [0.0, 0.1, -3e8])
def test_labels_that_do_not_vary_have_a_loss_and_are_predicted(given: NumberContext, label: float):
    given.factor, given.offset = 0.0, label
    objective = Regression(RegressionOptions(), given)
    batch = objective.collate(given.labelled(), torch.Generator())
    assert objective.criterion(torch.ones(8, 1), batch) == 8
    assert objective.in_label_units(torch.zeros(8, 1)).tolist() == [[pytest.approx(label)]] * 8


@pytest.mark.parametrize(("factor", "offset"), [(1.0, 1e9), (1e-35, 0.0)])
def test_labels_that_float32_cannot_tell_apart_are_refused(
    given: NumberContext, factor: float, offset: float
):
    given.factor, given.offset = factor, offset
    with pytest.raises(DataError, match="which float32 outputs cannot resolve: subtract an offset"):
        Regression(RegressionOptions(), given)


@pytest.mark.parametrize("family", [*FAMILIES, *DECODERS])
def test_every_familys_exported_model_predicts_in_the_labels_unit(family: str, tmp_path: Path):
    with torch.random.fork_rng():
        given = NumberContext(source=tiny_source(family), labels=("score",))
        given.factor, given.offset = -250.0, 4000.0
        objective = Regression(RegressionOptions(), given).eval()
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    batch = objective.collate(given.labelled(), torch.Generator())
    outputs = objective.predict(given.body.eval()(batch.inputs), batch)
    export(given.body, objective.head, given.tokenizer, tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    inputs = batch.inputs.pad(batch.inputs.input_ids, 1)
    expected = plain(input_ids=inputs, attention_mask=batch.inputs.mask.long()).logits
    assert_close(objective.in_label_units(outputs), expected, rtol=1e-5, atol=1e-3)
    assert all(torch.equal(before[name], value) for name, value in objective.state_dict().items())


@pytest.mark.parametrize(("factor", "offset"), [(1.0, 3.0), (-40.0, -120.0)])
def test_a_head_without_a_bias_learns_labels_that_are_only_scaled(factor: float, offset: float):
    with torch.random.fork_rng():
        given = NumberContext(source=tiny_source("qwen3"), labels=("score",))
        given.factor, given.offset = factor, offset
        objective = Regression(RegressionOptions(), given).eval()
    numbers = torch.tensor([row["label"] for row in given.labelled()])
    batch = objective.collate(given.labelled(), torch.Generator())
    targets = batch.targets["labels"]
    assert_close(targets.square().mean(), torch.tensor(1.0))
    assert_close(targets * numbers[0] / targets[0], numbers)
    plain, scaled = NumberContext(source=tiny_source("qwen3"), labels=("score",)), targets
    plain.factor, plain.offset = factor / 40, offset / 40
    other = Regression(RegressionOptions(), plain)
    assert_close(other.collate(plain.labelled(), torch.Generator()).targets["labels"], scaled)
    assert objective.head.notice == (
        "the family's head has no bias to hold the labels' mean, so the body has to learn it: "
        f"their mean is {numbers.mean():.3g}, their standard deviation "
        f"{numbers.std(correction=0):.3g}; if it is many of these, subtract a number from all "
        "labels"
    )


def test_a_checkpoints_head_keeps_its_predictions_whatever_the_unit(tmp_path: Path):
    """They are in the labels' own unit there, and standardised where the head is trained on."""
    with torch.random.fork_rng():
        directory = save_tiny(tmp_path, kind="SequenceClassification", num_labels=1)
        source = ModelSource.pretrained(AutoOptions(name=str(directory)))
        given = NumberContext(source=source, labels=("score",))
    given.factor, given.offset = 50.0, 300.0
    objective = Regression(RegressionOptions(), given).eval()
    assert objective.head.notice == (
        "the checkpoint's head predicts a number, which is taken to be in the unit of these "
        "labels: if it was trained on numbers in another unit, start from a checkpoint without a "
        "head"
    )
    batch = objective.collate(given.labelled(), torch.Generator())
    outputs = objective.predict(given.body.eval()(batch.inputs), batch)
    plain = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    inputs = batch.inputs.pad(batch.inputs.input_ids, 1)
    expected = plain(input_ids=inputs, attention_mask=batch.inputs.mask.long()).logits
    assert_close(objective.in_label_units(outputs), expected, rtol=1e-4, atol=1e-3)


def test_a_family_without_a_last_layer_for_the_unit_is_refused(given: NumberContext):
    head = given.head("SequenceClassification")
    head.model.classifier = nn.Sequential(head.model.classifier, nn.Tanh())
    with pytest.raises(ModelError) as caught:
        head.set_unit(Unit(1.0, 2.0))
    assert str(caught.value) == (
        "BertForSequenceClassification cannot predict a number: it has no last linear layer to "
        "hold the labels' scale; choose another model family"
    )


@pytest.mark.parametrize(("family", "offset"), [("bert", 0.0), ("qwen3", 3.0)])
def test_a_few_steps_bring_the_outputs_to_the_labels(family: str, offset: float):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        given = NumberContext(source=tiny_source(family), labels=("score",))
        given.offset = offset
        objective = Regression(RegressionOptions(), given).eval()
    rows = given.labelled()
    batch = objective.collate(rows, torch.Generator())
    parameters = [*objective.parameters(), *given.body.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=5e-3)
    given.body.eval()
    for _ in range(150):
        optimiser.zero_grad()
        objective.loss(given.body(batch.inputs), batch).total.backward()
        optimiser.step()
    outputs = objective.predict(given.body(batch.inputs), batch).detach()
    assert_close(outputs.squeeze(1), batch.targets["labels"], rtol=0, atol=0.3)
    assert objective.score(objective.in_label_units(outputs), rows)["r2"] > 0.9


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


@pytest.mark.parametrize(("factor", "offset"), UNITS)
def test_the_dev_gradient_is_the_same_in_every_affine_unit(factor: float, offset: float):
    """META's probe is fitted on standardised labels, too."""

    def gradient(factor: float, offset: float) -> torch.Tensor:
        with torch.random.fork_rng():
            given = NumberContext(labels=("score",))
            given.factor, given.offset = factor, offset
            task = Regression(RegressionOptions(), given)
        model = JointModel(given.body, "task", {"task": task})
        runtime = Runtime(torch.device("cpu"), "fp32")
        dev = DevLoss(model, given.labelled(), ProbeOptions(), runtime, seed=0)
        dev.term(step=0).pieces[0]().backward()
        return torch.cat([p.grad.flatten() for p in given.body.parameters()])

    expected = gradient(1.0, 0.0)
    bound = 1e-4 * float(expected.abs().max())
    assert_close(gradient(factor, offset), expected, rtol=1e-3, atol=bound)


def test_the_dev_gradient_reaches_the_body(objective: Regression, given: NumberContext):
    model = JointModel(given.body, "task", {"task": objective})
    runtime = Runtime(torch.device("cpu"), "fp32")
    DevLoss(model, ROWS, ProbeOptions(), runtime, seed=0).term(step=0).pieces[0]().backward()
    assert all(p.grad is not None for p in given.body.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_loss_and_outputs_are_float32_in_any_precision(
    objective: Regression, given: NumberContext, dtype: torch.dtype
):
    batch = objective.collate(ROWS, torch.Generator())
    with torch.autocast("cpu", dtype):
        hidden = given.body.eval()(batch.inputs)
        outputs = objective.predict(hidden, batch)
        loss = objective.loss(hidden, batch).total
    assert outputs.dtype == loss.dtype == torch.float32
    assert not torch.equal(outputs, outputs.to(dtype).float()), "they are not rounded"
