"""R-Drop's loss is equation 4 of the paper, of two passes with dropout masks of their own."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close
from transformers import AutoModelForSequenceClassification

from support.context import ROWS, TaggedContext, TinyContext
from tartan import Batch, ConfigError, LabelKind, Objective, PrimaryObjective, divergence
from tartan.body.export import reassembled
from tartan.body.kernels.dropout import replace_dropout
from tartan.quiet import quiet
from tartan.seeding import derive, seeded
from tartan.testing import tiny_source
from tartan.train.objective_body import ObjectiveBody
from tartan_objectives.classification import Classification, ClassificationOptions
from tartan_objectives.rdrop import RDrop, RDropOptions
from tartan_objectives.regression import Regression, RegressionOptions
from tartan_objectives.tokens import Tokens, TokensOptions


def make(given: TinyContext, primary: PrimaryObjective | None = None, **options: float) -> RDrop:
    given.primary = primary or Classification(ClassificationOptions(), given)
    return RDrop(RDropOptions(**options), given)


def collate(objective: Objective, rows=ROWS) -> Batch:
    return objective.collate(rows, torch.Generator())


def plain_logits(model: torch.nn.Module, batch: Batch, seed: int) -> Tensor:
    """Logits of plain transformers in training mode, with the masks of a seed."""
    torch.manual_seed(seed)
    inputs = batch.inputs
    return model(
        input_ids=inputs.pad(inputs.input_ids, 1), attention_mask=inputs.mask.long()
    ).logits


def test_the_loss_is_the_papers_computed_by_plain_transformers_with_two_dropout_masks():
    """A family that tartan pads draws the same masks as plain transformers does."""
    with torch.random.fork_rng():
        given = TinyContext(tiny_source("mpnet"))
        objective = make(given, alpha=0.7)
        given.body.train()
        batch = collate(objective)
        with quiet(), reassembled(given.body, given.primary.head) as shown:
            config, weights = shown.config, {k: v.clone() for k, v in shown.state_dict().items()}
        model = AutoModelForSequenceClassification.from_config(config)
        model.load_state_dict(weights)
        replace_dropout(model.base_model)
        model.train()
        one, other = (plain_logits(model, batch, derive(0, "dropout", view)) for view in (0, 1))
        labels = batch.targets["labels"]
        p, q = one.softmax(1), other.softmax(1)
        likelihood = -(p[range(8), labels].log() + q[range(8), labels].log()).sum()
        kl = (p * (p / q).log()).sum() + (q * (q / p).log()).sum()
        with seeded(0):
            found = objective.compute(ObjectiveBody(given.body, 0, "dropout"), batch)
        assert kl > 0.001
        assert_close(found.total, likelihood + 0.7 / 2 * kl, rtol=1e-4, atol=1e-5)
        assert_close(found.metrics["divergence"], kl / 2, rtol=1e-3, atol=1e-5)
        gradients = torch.autograd.grad(found.total, list(given.body.parameters()))
        named = dict(model.named_parameters())
        wanted = [named[f"mpnet.{name}"] for name, _ in given.body.model.named_parameters()]
        expected = torch.autograd.grad(likelihood + 0.7 / 2 * kl, wanted)
        for mine, theirs in zip(gradients, expected, strict=True):
            assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


def test_without_dropout_the_divergence_is_0_and_the_loss_twice_the_end_tasks(given: TinyContext):
    objective, body = make(given), given.body.eval()
    given.primary.eval()
    batch = collate(objective)
    loss = objective.compute(ObjectiveBody(body, 0), batch)
    task = given.primary.loss(body(batch.inputs), batch).total
    assert_close(loss.total, 2 * task)
    assert loss.metrics["divergence"].abs() < 1e-6


def test_alpha_0_is_the_likelihood_alone(given: TinyContext):
    totals = []
    for alpha in (0.0, 1.0, 2.0):
        objective = make(given, given.primary, alpha=alpha)
        with seeded(0):
            totals.append(objective.compute(ObjectiveBody(given.body, 0), collate(objective)).total)
    assert totals[0] < totals[1] < totals[2]
    assert_close(totals[2] - totals[1], totals[1] - totals[0], rtol=1e-3, atol=1e-5)


def test_of_numbers_it_compares_squared_differences(given: TinyContext):
    given.labels = ("score",)
    task = Regression(RegressionOptions(), given)
    objective = make(given, task)
    batch = collate(objective)
    with seeded(0):
        loss = objective.compute(ObjectiveBody(given.body, 3), batch)
    predictions = []
    for view in (0, 1):
        torch.manual_seed(derive(3, view))
        predictions.append(task.predict(given.body(batch.inputs), batch))
    half = (predictions[0] - predictions[1]).square().sum() / 2
    assert half > 0
    assert_close(loss.metrics["divergence"], half)


def test_of_words_the_items_are_the_words():
    given = TaggedContext(labels=("O", "B-X", "I-X"))
    objective = make(given, Tokens(TokensOptions(), given))
    batch = collate(objective, given.labelled())
    assert batch.items == 2
    with seeded(0):
        loss = objective.compute(ObjectiveBody(given.body, 0), batch)
    assert loss.total > loss.metrics["divergence"] > 0


@pytest.mark.parametrize("kind", [LabelKind.CLASS, LabelKind.TAGS])
def test_the_divergence_is_kullback_and_leiblers(kind: LabelKind):
    one, other = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    p, q = (torch.distributions.Categorical(logits=logits) for logits in (one, other))
    expected = torch.distributions.kl_divergence(p, q).sum()
    assert_close(divergence(one, other, kind), expected.float())
    assert divergence(one, one, kind) == 0


def test_the_divergence_of_numbers_is_that_of_normal_distributions():
    one, other = torch.randn(5, 1), torch.randn(5, 1)
    p, q = (torch.distributions.Normal(mean, 1.0) for mean in (one, other))
    expected = torch.distributions.kl_divergence(p, q).sum()
    assert_close(divergence(one, other, LabelKind.NUMBER), expected)


def test_gradients_flow_through_both_predictions():
    one, other = (torch.randn(4, 3, requires_grad=True) for _ in range(2))
    divergence(one, other, LabelKind.CLASS).backward()
    assert one.grad.any()
    assert_close(other.grad, functional.softmax(other, 1) - functional.softmax(one, 1))


@pytest.mark.parametrize("alpha", [-1.0, math.inf, math.nan])
def test_alpha_is_at_least_0_and_finite(given: TinyContext, alpha: float):
    with pytest.raises(ConfigError) as caught:
        make(given, alpha=alpha)
    assert str(caught.value) == (
        f"objectives.mine.alpha must be at least 0 and finite, got {alpha}."
    )
