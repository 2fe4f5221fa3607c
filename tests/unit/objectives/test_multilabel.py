"""Multi-label classification: Hugging Face's loss, scikit-learn's scores, a threshold of dev."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score
from torch.nn import functional
from torch.testing import assert_close
from transformers import AutoModelForSequenceClassification

from support.context import TinyContext
from tartan import ConfigError, LabelKind
from tartan.consistency import divergence
from tartan.testing import tiny_source
from tartan_objectives.multilabel import (
    Multilabel,
    MultilabelOptions,
    best_threshold,
    indicators,
    positive_weights,
)

ROWS = [
    {"input_ids": [2, 5, 6, 3], "label": [0, 2]},
    {"input_ids": [2, 7, 3], "label": []},
    {"input_ids": [2, 8, 9, 10, 3], "label": [1]},
    {"input_ids": [2, 8, 11, 3], "label": [0]},
]


class Sets(TinyContext):
    def labelled(self):
        return ROWS


def make(**options) -> Multilabel:
    return Multilabel(MultilabelOptions(**options), Sets())


def criterion(objective: Multilabel, outputs: torch.Tensor, rows=ROWS) -> torch.Tensor:
    return objective.criterion(outputs, objective.collate(rows, torch.Generator()))


def test_the_loss_is_that_of_hugging_face():
    config = tiny_source().config
    config = type(config).from_dict(
        config.to_dict() | {"problem_type": "multi_label_classification"}
    )
    config.num_labels = 3
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    row = torch.tensor([ROWS[0]["input_ids"], ROWS[3]["input_ids"]])
    labels = indicators([ROWS[0], ROWS[3]], 3)
    expected = model(row, labels=labels)
    found = criterion(make(), expected.logits, [ROWS[0], ROWS[3]]) / 2
    assert_close(found, expected.loss)


def test_splitting_a_batch_splits_its_sum():
    outputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    objective = make(positive_weight="balanced")
    parts = criterion(objective, outputs[:1], ROWS[:1]) + criterion(
        objective, outputs[1:], ROWS[1:]
    )
    assert_close(parts, criterion(objective, outputs))


def test_positive_weights_multiply_the_loss_of_labels_that_are_there():
    outputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    labels = indicators(ROWS, 3)
    weight = torch.tensor([2 / 2, 3 / 1, 3 / 1])
    plain = functional.binary_cross_entropy_with_logits(outputs, labels, reduction="none")
    expected = (plain * torch.where(labels > 0, weight, 1.0)).mean(1).sum()
    assert_close(criterion(make(positive_weight="balanced"), outputs), expected)


def test_a_label_that_every_row_or_no_row_has_is_still_trained(monkeypatch: pytest.MonkeyPatch):
    rows = [{"input_ids": [0, 5, 2], "label": label} for label in ([0], [0, 1], [0])]
    monkeypatch.setattr(TinyContext, "labelled", lambda _: rows)
    assert positive_weights("balanced", TinyContext()).tolist() == pytest.approx([1 / 3, 2, 3])


def test_scores_are_scikit_learns():
    outputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    found, labels = outputs.sigmoid().numpy(), indicators(ROWS, 3).numpy()
    objective = make(threshold=0.4)
    assert objective.score(outputs, ROWS) == pytest.approx({
        "micro_f1": f1_score(labels, found >= 0.4, average="micro", zero_division=0),
        "macro_f1": f1_score(labels, found >= 0.4, average="macro", zero_division=0),
        "average_precision": average_precision_score(labels, found, average="macro"),
    })  # fmt: skip
    assert set(objective.score(outputs, ROWS)) == set(objective.metrics)


def test_scores_are_finite_whatever_comes():
    objective = make()
    nothing = [{"input_ids": [2, 3], "label": []}] * 2
    outputs = torch.full((2, 3), float("nan"))
    objective.choose(outputs, nothing)
    assert objective.score(outputs, nothing) == {
        "micro_f1": 0.0, "macro_f1": 0.0, "average_precision": 0.0,
    }  # fmt: skip
    assert objective.exported_settings() == {"threshold": 0.5}


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_has_a_better_micro_f1(seed: int):
    rng = np.random.default_rng(seed)
    found = rng.random((12, 3)).round(2)
    labels = (rng.random((12, 3)) < found).astype(int)

    def f1(threshold: float) -> float:
        return float(f1_score(labels, found >= threshold, average="micro", zero_division=0))

    best = best_threshold(found, labels)
    assert 0 < best < 1
    assert f1(best) == pytest.approx(max(f1(cut) for cut in np.arange(0, 1.01, 0.005)))


@pytest.mark.parametrize("top", [4e-7, 1 - 1e-8])
def test_a_threshold_beside_0_or_1_is_where_it_was_chosen(top: float):
    """Rounded to six digits it would be 0 or 1, outside the two probabilities."""
    found = np.array([[top - 2e-9], [top]])
    assert top - 2e-9 < best_threshold(found, np.array([[0], [1]])) < top


@pytest.mark.parametrize(("lowest", "best"), [([0.0, 0.9], 0.3), ([0.0, 0.0], 0.5)])
def test_the_threshold_is_never_0(lowest, best):
    """No threshold above 0 predicts a label whose probability is 0 in float32."""
    found = np.array([lowest, [0.6 * any(lowest), 0.7 * any(lowest)]], dtype=np.float32)
    assert best_threshold(found, np.ones((2, 2))) == pytest.approx(best)


def test_the_threshold_is_chosen_and_exported_unless_it_is_given():
    outputs = torch.logit(torch.tensor([[0.1, 0.2, 0.3], [0.1, 0.1, 0.1], [0.1, 0.3, 0.1],
                                        [0.3, 0.1, 0.1]]))  # fmt: skip
    rows = [ROWS[0] | {"label": [2]}, *ROWS[1:]]
    chosen = make()
    chosen.choose(outputs, rows)
    assert chosen.exported_settings() == {"threshold": 0.25}
    assert chosen.score(outputs, rows)["micro_f1"] == 1.0
    given = make(threshold=0.15)
    given.choose(outputs, rows)
    assert given.exported_settings() == {"threshold": 0.15}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.0}, "threshold must be in (0, 1), or null, got 1.0."),
        ({"positive_weight": 0}, "positive_weight must be more than 0, or balanced, got 0."),
        (
            {"positive_weight": "balance"},
            "positive_weight must be more than 0, or balanced, got balance.",
        ),
    ],
)
def test_options_that_have_no_meaning_are_refused(options, message):
    with pytest.raises(ConfigError) as caught:
        make(**options)
    assert str(caught.value) == f"objectives.mine.{message}"


def test_the_divergence_is_that_of_bernoulli_distributions():
    one, other = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.distributions.kl_divergence(
        torch.distributions.Bernoulli(logits=one), torch.distributions.Bernoulli(logits=other)
    )
    assert_close(divergence(one, other, LabelKind.SETS), expected.mean(1).sum())
    assert divergence(one, one, LabelKind.SETS) == 0
