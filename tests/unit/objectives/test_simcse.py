"""SimCSE contrasts two dropout views of each text with those of the others in the batch."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from support.context import ROWS, TinyContext
from tartan import Batch, ConfigError
from tartan.testing import tiny_source
from tartan_objectives.simcse import SimCSE, SimCSEOptions


def make(given: TinyContext, **options: float) -> SimCSE:
    return SimCSE(SimCSEOptions(**options), given)


def collate(objective: SimCSE, rows=ROWS) -> Batch:
    return objective.collate(rows, torch.Generator())


def test_the_loss_is_that_of_the_paper(given: TinyContext):
    """Equation 4, written out: each text's first view against every second view."""
    objective = make(given, temperature=0.2)
    batch = collate(objective)
    hidden = given.body.train()(batch.inputs)
    views = torch.stack([sequence[0] for sequence in hidden.split(batch.inputs.lengths)])
    vectors = torch.tanh(objective.head[0](views))
    one, other = vectors[: len(ROWS)], vectors[len(ROWS) :]
    scores = nn.CosineSimilarity(dim=-1)(one[:, None], other[None]) / 0.2
    expected = -scores.log_softmax(1).diagonal().mean()
    assert_close(objective.loss(hidden, batch).total / batch.items, expected)


def test_one_pass_gives_two_views_that_only_dropout_tells_apart(given: TinyContext):
    batch = collate(make(given))
    assert batch.items == len(ROWS)
    assert batch.inputs.lengths[: len(ROWS)] == batch.inputs.lengths[len(ROWS) :]
    one, other = given.body.train()(batch.inputs).chunk(2)
    assert not torch.allclose(one, other)
    one, other = given.body.eval()(batch.inputs).chunk(2)
    assert_close(one, other)


def test_without_dropout_the_two_views_are_one_and_it_still_learns():
    given = TinyContext(tiny_source(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
    objective, body = make(given), given.body.train()
    batch = collate(objective)
    optimiser = torch.optim.SGD([*objective.parameters(), *body.parameters()], lr=0.1)
    losses = []
    for _ in range(5):
        loss = objective.loss(body(batch.inputs), batch).total / batch.items
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_a_single_text_has_nothing_to_be_told_from(given: TinyContext):
    objective = make(given)
    batch = collate(objective, ROWS[:1])
    loss = objective.loss(given.body(batch.inputs), batch)
    loss.total.backward()
    assert loss.total == 0
    assert loss.metrics["accuracy"] == 1


def test_accuracy_counts_the_texts_whose_own_view_is_nearest(given: TinyContext):
    objective = make(given)
    batch = collate(objective, ROWS[:3])
    objective.head = nn.Identity()
    hidden = torch.zeros(len(batch.inputs.input_ids), 3)
    hidden[batch.inputs.starts] = torch.eye(3)[[0, 1, 2, 0, 2, 1]]
    loss = objective.loss(hidden, batch)
    assert loss.metrics["accuracy"] == 1
    # Two texts of three are found in each other's place, at a distance of 1 / 0.05.
    assert_close(loss.total, torch.tensor(40.0), atol=1e-3, rtol=0)


def test_the_batch_is_the_negatives_so_that_its_loss_cannot_be_split(given: TinyContext):
    objective, body = make(given), given.body.eval()

    def total(rows) -> torch.Tensor:
        batch = collate(objective, rows)
        return objective.loss(body(batch.inputs), batch).total

    assert not SimCSE.separable
    assert total(ROWS) > total(ROWS[:4]) + total(ROWS[4:])


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_is_positive_and_finite(given: TinyContext, temperature: float):
    with pytest.raises(ConfigError) as caught:
        make(given, temperature=temperature)
    assert str(caught.value) == (
        f"objectives.mine.temperature must be more than 0 and finite, got {temperature}."
    )
