"""VAT perturbs embeddings by a given norm, in the direction that changes the prediction most."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from support.context import ROWS, TaggedContext, TinyContext
from tartan import Batch, ConfigError, LabelKind, ModelError, Packed, divergence
from tartan.seeding import seeded
from tartan.testing import FAMILIES, tiny_source
from tartan.train.objective_body import ObjectiveBody
from tartan_objectives.classification import Classification, ClassificationOptions
from tartan_objectives.regression import Regression, RegressionOptions
from tartan_objectives.tokens import Tokens, TokensOptions
from tartan_objectives.vat import VAT, VATOptions, magnified, norms, unit

SHARP = 5


def make(given: TinyContext, **options: Any) -> VAT:
    if given.primary is None:
        given.primary = Classification(ClassificationOptions(), given)
        sharpen(given.primary)
    return VAT(VATOptions(**options), given)


def sharpen(task: torch.nn.Module) -> None:
    """Have a random head predict distributions that are far from uniform."""
    with torch.no_grad():
        for parameter in task.parameters():
            if parameter.ndim == 2:
                parameter.mul_(SHARP)


def prepared(objective: VAT, seed: int = 0, rows=ROWS) -> Batch:
    return objective.prepare(objective.collate(rows, torch.Generator().manual_seed(seed)))


class Recording(ObjectiveBody):
    """The body of a step, which keeps the embeddings of each pass."""

    def __init__(self, given: TinyContext) -> None:
        super().__init__(given.body, 0, "dropout")
        self.read: list[Tensor] = []

    def __call__(self, packed, embeddings=None, *, view=None):
        self.read.append(embeddings)
        return super().__call__(packed, embeddings, view=view)


def perturbations(given: TinyContext, objective: VAT, batch: Batch) -> tuple[Tensor, list[Tensor]]:
    """The clean embeddings, and what each later pass added to them."""
    body = Recording(given)
    with seeded(0):
        objective.compute(body, batch)
    clean, *others = body.read
    return clean, [(other - clean).detach() for other in others]


def length(values: Tensor, batch: Batch) -> Tensor:
    """The norm of each sequence's values, [sequences]."""
    return torch.stack([part.norm() for part in values.split(batch.inputs.lengths)])


@pytest.mark.parametrize("training", [True, False])
def test_the_perturbation_has_the_given_norm(given: TinyContext, training: bool):
    objective = make(given, epsilon=0.3, xi=0.02, iterations=2)
    given.body.train(training)
    batch = prepared(objective)
    clean, added = perturbations(given, objective, batch)
    assert len(added) == 3
    for shift, share in zip(added, (0.02, 0.02, 0.3), strict=True):
        assert_close(length(shift, batch), share * length(clean, batch), rtol=1e-3, atol=0)


def gap(given: TinyContext, batch: Batch, shift: Tensor) -> Tensor:
    """The divergence of each sequence under a shift of the embeddings, [sequences]."""
    task, body = given.primary, given.body
    clean = body.embed(batch.inputs)
    one, other = (
        task.predict(body(batch.inputs, embeddings), batch) for embeddings in (clean, clean + shift)
    )
    rows = zip(one.split(1), other.split(1), strict=True)
    return torch.stack([divergence(*row, LabelKind.CLASS) for row in rows])


@torch.no_grad()
def test_it_changes_predictions_more_than_random_directions_of_the_same_norm(given: TinyContext):
    objective = make(given, epsilon=0.1, xi=0.1)
    given.body.eval()
    given.primary.eval()
    batch = prepared(objective)
    clean, (_, adversarial) = perturbations(given, objective, batch)
    found = gap(given, batch, adversarial)
    size = 0.1 * norms(clean, batch.inputs)
    rng = torch.Generator().manual_seed(1)
    random = torch.stack(
        [
            gap(given, batch, size * unit(torch.randn(clean.shape, generator=rng), batch.inputs))
            for _ in range(20)
        ]
    )
    assert (found > 3 * random.mean(0)).all()
    assert found.sum() > 5 * random.sum(1).max()


@torch.no_grad()
def test_more_power_iterations_come_closer_to_the_worst_direction(given: TinyContext):
    given.body.eval()
    totals = []
    for iterations in (1, 8):
        objective = make(given, epsilon=0.02, xi=0.02, iterations=iterations)
        given.primary.eval()
        _, added = perturbations(given, objective, prepared(objective))
        totals.append(gap(given, prepared(objective), added[-1]).sum())
    assert totals[1] > totals[0]


@pytest.mark.parametrize("training", [True, False])
def test_without_a_perturbation_the_loss_is_0_whatever_dropout_drops(
    given: TinyContext, training: bool
):
    objective = make(given, epsilon=0.0)
    given.body.train(training)
    with seeded(0):
        loss = objective.compute(ObjectiveBody(given.body, 0), prepared(objective))
    assert loss.total == 0


def test_the_loss_is_the_divergence_from_the_clean_prediction(given: TinyContext):
    objective = make(given)
    given.body.eval()
    given.primary.eval()
    batch = prepared(objective)
    _, added = perturbations(given, objective, batch)
    total = objective.compute(ObjectiveBody(given.body, 0), batch).total
    assert total > 0
    assert_close(total, gap(given, batch, added[-1]).sum(), rtol=1e-4, atol=1e-7)


def test_no_gradient_flows_through_the_clean_prediction_or_the_direction(given: TinyContext):
    """The gradient is that of KL(constant || p(e + constant)) by plain autograd."""
    objective = make(given)
    given.body.eval()
    given.primary.eval()
    batch = prepared(objective)
    body, task = given.body, given.primary
    clean, added = perturbations(given, objective, batch)
    constant = task.predict(body(batch.inputs, clean), batch).detach()
    embeddings = body.embed(batch.inputs) + added[-1]
    expected = divergence(constant, task.predict(body(batch.inputs, embeddings), batch), task.reads)
    total = objective.compute(ObjectiveBody(body, 0), batch).total
    parameters = [*body.parameters(), *task.parameters()]
    pairs = zip(
        torch.autograd.grad(total, parameters),
        torch.autograd.grad(expected, parameters),
        strict=True,
    )
    for found, wanted in pairs:
        assert_close(found, wanted, rtol=1e-3, atol=1e-6)


def test_directions_in_float16_are_those_in_float32(given: TinyContext):
    """A certain prediction hardly changes: its gradients are below what float16 can hold."""
    given.body.eval()
    objective = make(given)
    given.primary.eval()
    with torch.no_grad():
        list(given.primary.head.parameters())[-1][0] += 8
    batch, found = prepared(objective), []
    for dtype in (torch.float32, torch.float16):
        with torch.autocast("cpu", dtype, enabled=dtype is torch.float16):
            _, (_, shift) = perturbations(given, objective, batch)
        found.append(shift)
    parts = zip(*(shift.split(batch.inputs.lengths) for shift in found), strict=True)
    cosines = torch.stack([torch.cosine_similarity(*map(torch.flatten, p), dim=0) for p in parts])
    assert cosines.sort().values[1] > 0.99  # one prediction changes by less than logits' rounding


def test_a_divergence_is_magnified_in_float16_alone():
    value = torch.tensor(1e-5)
    assert magnified(value) is value
    with torch.autocast("cpu", torch.bfloat16):
        assert magnified(value) is value
    with torch.autocast("cpu", torch.float16):
        for size in (0.0, 1e-12, 1e-5, 1.0, 1e4):
            assert magnified(torch.tensor(size)).isfinite()
        assert magnified(value) > 0.1


def test_directions_are_a_function_of_the_batchs_seed(given: TinyContext):
    objective = make(given)
    one, same, other = (prepared(objective, seed).targets["noise"] for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_reads_embeddings_as_it_reads_tokens(family: str):
    with torch.random.fork_rng():
        body = TinyContext(tiny_source(family)).body.eval()
    packed = Packed.of([row["input_ids"] for row in ROWS])
    assert body.embed(packed).shape == (len(packed.input_ids), body.embedding_size)
    assert_close(body(packed, body.embed(packed)), body(packed))
    wanted = packed.want(packed.starts)
    hidden = body(wanted, body.embed(packed))
    assert_close(hidden[packed.starts], body(packed)[packed.starts])
    embeddings = body.embed(packed).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(body(packed, embeddings).square().sum(), embeddings)
    assert (gradient.abs().sum(1) > 0).all()


def test_a_gradient_by_the_token_embeddings_themselves_is_autograds(given: TinyContext):
    """The same as that by a copy without history, and the slope in a direction."""
    packed = Packed.of([row["input_ids"] for row in ROWS])
    given.body.eval()

    def value(embeddings: torch.Tensor) -> torch.Tensor:
        return given.body(packed, embeddings).sin().sum()

    embeddings = given.body.embed(packed)
    copied = embeddings.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(embeddings), embeddings)
    assert_close(gradient, torch.autograd.grad(value(copied), copied)[0])
    direction = gradient / gradient.norm()
    with torch.no_grad():
        ends = [value(copied + size * direction) for size in (0.01, -0.01)]
    assert (ends[0] - ends[1]) / 0.02 == pytest.approx(float(gradient.norm()), rel=0.02)


def test_a_family_that_cannot_read_embeddings_is_named(given: TinyContext):
    given.body._reasons["embeddings"] = "TypeError: no inputs_embeds"
    with pytest.raises(ModelError, match=r"bert cannot read .*embeddings \(TypeError: no inp"):
        make(given)


def test_labelled_rows_can_be_read_without_their_labels(given: TinyContext):
    objective = make(given, texts="labelled")
    assert list(objective.examples()) == ROWS
    with seeded(0):
        one = objective.compute(ObjectiveBody(given.body, 0), prepared(objective)).total
        rows = [{**row, "label": 0} for row in ROWS]
        relabelled = prepared(objective, rows=rows)
        other = objective.compute(ObjectiveBody(given.body, 0), relabelled).total
    assert one == other > 0


def test_numbers_are_compared_by_their_squared_difference():
    given = TinyContext(labels=("score",))
    given.primary = Regression(RegressionOptions(), given)
    with seeded(0):
        objective = make(given)
        assert objective.compute(ObjectiveBody(given.body, 0), prepared(objective)).total > 0


def test_words_are_marked_in_labelled_rows_alone():
    given = TaggedContext(labels=("O", "B-X", "I-X"))
    given.primary = Tokens(TokensOptions(), given)
    with pytest.raises(ConfigError) as caught:
        make(given)
    assert str(caught.value) == (
        "objectives.mine.texts=task: the end task labels words, which unlabelled texts do not "
        "mark; set it to labelled."
    )
    objective = make(given, texts="labelled")
    batch = prepared(objective, rows=given.labelled())
    with seeded(0):
        loss = objective.compute(ObjectiveBody(given.body, 0), batch)
    assert batch.items == 2
    assert loss.total > 0


def test_pairs_of_texts_are_in_labelled_rows_alone():
    given = TinyContext(pairs=True)
    given.primary = Classification(ClassificationOptions(), given)
    with pytest.raises(ConfigError) as caught:
        make(given)
    assert str(caught.value) == (
        "objectives.mine.texts=task: the end task's rows are pairs of texts, and unlabelled texts "
        "are single; set it to labelled."
    )
    assert list(make(given, texts="labelled").examples()) == ROWS


def test_a_sequence_whose_prediction_does_not_move_is_left_as_it_is():
    packed = Packed.of([[5, 6], [7]])
    values = torch.tensor([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]])
    assert_close(unit(values, packed), torch.tensor([[0.6, 0.0], [0.0, 0.8], [0.0, 0.0]]))
    assert_close(norms(values, packed), torch.tensor([[5.0], [5.0], [0.0]]))
    assert_close(unit(values * 1e-30, packed), unit(values, packed))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"epsilon": -1.0}, "objectives.mine.epsilon must be at least 0 and finite, got -1.0."),
        ({"epsilon": math.inf}, "objectives.mine.epsilon must be at least 0 and finite, got inf."),
        ({"xi": 0.0}, "objectives.mine.xi must be more than 0 and finite, got 0.0."),
        ({"iterations": 0}, "objectives.mine.iterations must be at least 1, got 0."),
        ({"texts": "labeled"}, "objectives.mine.texts=labeled: did you mean 'labelled'?"),
    ],
)
def test_options_without_meaning_are_refused(given: TinyContext, options: dict, line: str):
    with pytest.raises(ConfigError) as caught:
        make(given, **options)
    assert str(caught.value) == line


def test_its_passes_follow_its_iterations(given: TinyContext):
    passes = make(given, iterations=3).passes
    assert (passes.forward, passes.backward) == (5, 4)


def test_the_direction_of_a_sequence_does_not_depend_on_the_others_of_its_batch():
    packed = Packed.of([[5, 6], [7, 8]])
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0], [1e-23, 2e-23], [3e-23, 4e-23]])
    directions = unit(values, packed)
    assert_close(directions[2:], directions[:2])
    assert_close(norms(directions, packed), torch.ones(4, 1))
