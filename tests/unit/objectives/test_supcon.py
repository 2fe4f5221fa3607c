"""SupCon brings the views of a class together, as equation 2 (L_out) of the paper says."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from support.context import ROWS, TaggedContext, TinyContext
from tartan import Batch, ConfigError
from tartan_objectives.supcon import SupCon, SupConOptions


def make(given: TinyContext, **options: float) -> SupCon:
    return SupCon(SupConOptions(**options), given)


def collate(objective: SupCon, rows=ROWS) -> Batch:
    return objective.collate(rows, torch.Generator())


def written_out(vectors: torch.Tensor, labels: list[int], temperature: float) -> torch.Tensor:
    """Equation 2, view by view."""
    unit = [vector / vector.norm() for vector in vectors]
    losses = []
    for i, anchor in enumerate(unit):
        others = [a for a in range(len(unit)) if a != i]
        total = sum(torch.exp(anchor @ unit[a] / temperature) for a in others)
        positives = [p for p in others if labels[p] == labels[i]]
        terms = [torch.log(torch.exp(anchor @ unit[p] / temperature) / total) for p in positives]
        losses.append(-sum(terms) / len(positives))
    return torch.stack(losses).mean()


def test_the_loss_is_that_of_the_paper(given: TinyContext):
    objective = make(given, temperature=0.3, size=5)
    batch = collate(objective)
    hidden = given.body.train()(batch.inputs)
    views = torch.stack([sequence[0] for sequence in hidden.split(batch.inputs.lengths)])
    labels = [row["label"] for row in ROWS] * 2
    expected = written_out(objective.head(views), labels, 0.3)
    assert batch.items == 2 * len(ROWS)
    assert_close(objective.loss(hidden, batch).total / batch.items, expected)


def test_if_every_row_has_its_own_class_only_its_views_are_positives(given: TinyContext):
    """The paper: without labels in common, the loss is that of self-supervised contrast."""
    objective = make(given, temperature=0.5)
    rows = [{**row, "label": n} for n, row in enumerate(ROWS[:4])]
    batch = collate(objective, rows)
    hidden = given.body.train()(batch.inputs)
    unit = nn.functional.normalize(objective.head(hidden[batch.inputs.starts]), dim=1)
    scores = (unit @ unit.T / 0.5).fill_diagonal_(-torch.inf)
    other_view = torch.arange(8).roll(4)
    expected = nn.functional.cross_entropy(scores, other_view)
    assert_close(objective.loss(hidden, batch).total / batch.items, expected)


def test_training_brings_classes_together(given: TinyContext):
    objective, body = make(given), given.body.eval()
    batch = collate(objective)
    optimiser = torch.optim.Adam([*objective.parameters(), *body.parameters()], lr=1e-2)
    for _ in range(30):
        loss = objective.loss(body(batch.inputs), batch)
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
    assert objective.loss(body(batch.inputs), batch).metrics["accuracy"] == batch.items
    unit = nn.functional.normalize(objective.head(body(batch.inputs)[batch.inputs.starts]), dim=1)
    same = batch.targets["labels"][:, None] == batch.targets["labels"]
    cosines = unit @ unit.T
    assert cosines[same].mean() > cosines[~same].mean() + 0.5


def test_a_single_row_is_contrasted_with_nothing(given: TinyContext):
    objective = make(given)
    batch = collate(objective, ROWS[:1])
    loss = objective.loss(given.body(batch.inputs), batch).total
    loss.backward()
    assert loss == 0


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            {"temperature": 0.0},
            "objectives.mine.temperature must be more than 0 and finite, got 0.0.",
        ),
        ({"size": 0}, "objectives.mine.size must be at least 1, got 0."),
    ],
)
def test_options_without_meaning_are_refused(given: TinyContext, options: dict, line: str):
    with pytest.raises(ConfigError) as caught:
        make(given, **options)
    assert str(caught.value) == line


def test_labels_that_are_not_classes_are_refused():
    with pytest.raises(ConfigError, match=r"objectives\.mine contrasts classes, and the end task"):
        make(TaggedContext())
