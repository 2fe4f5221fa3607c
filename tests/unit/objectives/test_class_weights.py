"""Class weights and focal loss of `classification`."""

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from support.context import TinyContext
from tartan import ConfigError
from tartan_objectives.classification import (
    Classification,
    ClassificationOptions,
    class_weights,
)

ROWS = [{"input_ids": [2, 5, 3], "label": label} for label in (0, 0, 0, 0, 0, 1, 1, 2)]
OUTPUTS = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([row["label"] for row in ROWS])


class Imbalanced(TinyContext):
    def labelled(self):
        return ROWS


def loss(rows=slice(None), **options) -> torch.Tensor:
    objective = Classification(ClassificationOptions(**options), Imbalanced())
    return objective.criterion(OUTPUTS[rows], objective.collate(ROWS[rows], torch.Generator()))


def test_balanced_weights_are_scikit_learns_and_add_up_to_the_rows():
    weights = torch.tensor([8 / (3 * 5), 8 / (3 * 2), 8 / (3 * 1)])
    expected = functional.cross_entropy(OUTPUTS, LABELS, weight=weights, reduction="sum")
    assert_close(loss(class_weights="balanced"), expected)
    assert weights[LABELS].sum() == pytest.approx(len(ROWS))


def test_weights_may_be_given_by_class():
    expected = functional.cross_entropy(
        OUTPUTS, LABELS, weight=torch.tensor([1.0, 3.0, 1.0]), reduction="sum"
    )
    assert_close(loss(class_weights={"b": 3}), expected)


@pytest.mark.parametrize("names", [("false", "true"), ("False", "True")])
def test_hydra_reads_the_names_of_some_classes_as_booleans(names):
    weights = class_weights({False: 1.0, True: 2.0}, Imbalanced(labels=names))
    assert_close(weights, torch.tensor([1.0, 2.0]))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_is_that_of_the_paper(gamma: float):
    p = OUTPUTS.softmax(1)[torch.arange(8), LABELS]
    assert_close(loss(focal_gamma=gamma), (-((1 - p) ** gamma) * p.log()).sum())


def test_the_gradient_of_a_certain_prediction_is_finite():
    outputs = torch.tensor([[100.0, 0.0, 0.0]], requires_grad=True)
    objective = Classification(ClassificationOptions(focal_gamma=0.5), Imbalanced())
    objective.criterion(outputs, objective.collate(ROWS[:1], torch.Generator())).backward()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()


def test_splitting_a_batch_splits_its_sum():
    options = {"class_weights": "balanced", "focal_gamma": 2.0, "label_smoothing": 0.1}
    assert_close(loss(slice(0, 3), **options) + loss(slice(3, 8), **options), loss(**options))


def test_weights_are_no_state():
    objective = Classification(ClassificationOptions(class_weights="balanced"), Imbalanced())
    assert not any("weights" in name for name in objective.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weights": "even"}, "class_weights must be null, balanced or a map from classes, "
            "got even"),
        ({"class_weights": {"d": 1}}, "class_weights: no class 'd': choose from a, b, c"),
        ({"class_weights": {"a": 0}}, "class_weights.a must be more than 0, got 0."),
        ({"class_weights": {"a": float("inf")}},
         "class_weights.a must be more than 0 and finite, got inf."),
        ({"class_weights": {"a": "much"}}, "class_weights.a must be more than 0, got much."),
        ({"label_smoothing": 1.0},
         "label_smoothing must be in [0, 1), got 1.0."),
        ({"focal_gamma": -1.0}, "focal_gamma must be at least 0 and finite, got -1.0."),
    ],
)  # fmt: skip
def test_options_that_have_no_meaning_are_refused(options, message):
    with pytest.raises(ConfigError) as caught:
        loss(**options)
    assert str(caught.value) == f"objectives.mine.{message}"
