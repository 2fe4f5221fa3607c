"""`predict` and `evaluate` say the same of the same outputs."""

from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import Tensor

from tartan.batch import LabelKind
from tartan.experiment.predictions import describe_set, predictions
from tartan.inference.inputs import Input
from tartan.inference.predictions import describe

LABELS = ("a", "b", "c")
SMALLEST = torch.finfo(torch.float32).tiny


def evaluated(outputs: Tensor, kind: LabelKind) -> dict[str, Any]:
    """Return what `evaluate` writes of a row."""
    tagged = kind is LabelKind.TAGS
    texts = Dataset.from_list([{"words": ["x"]} if tagged else {"text": "x"}])
    row = {"label": [0], "kept": [0]} if tagged else {"label": 0}
    (found,) = predictions(texts, [row], [outputs], kind, LABELS, 0.5)
    return dict(found)


@pytest.mark.parametrize(
    ("outputs", "label"),
    [
        ([1.0, 1.0 + 2**-23, 0.0], "b"),
        ([0.0, SMALLEST, 2 * SMALLEST], "c"),
        ([20.0, 20.0 + 2**-19, -1.0], "b"),
        ([1.0, 2.0, 2.0], "b"),
        ([-1.0, float("nan"), -2.0], "b"),
        ([1.0, float("inf"), 2.0], "b"),
    ],
)
@pytest.mark.parametrize("kind", [LabelKind.CLASS, LabelKind.TAGS])
def test_the_label_is_that_of_the_largest_output_in_a_near_tie(
    outputs: list[float], label: str, kind: LabelKind
):
    """Probabilities as they are written are equal here, or nearly."""
    tagged = kind is LabelKind.TAGS
    given = torch.tensor([outputs])
    written = evaluated(given, kind)
    predicted = describe(Input("x", words=("x",) if tagged else ()), given, [0], LABELS, kind)
    expected = [label] if tagged else label
    assert predicted["predicted"] == written["predicted"] == expected
    assert predicted["probability"] == written["probability"]
    by_label = predicted["probabilities"][0] if tagged else predicted["probabilities"]
    assert by_label[label] == (written["probability"][0] if tagged else written["probability"])


def test_a_label_of_a_set_is_predicted_from_the_threshold_on():
    """float32 has no 0.7: the threshold is the number that it has instead, as in the metrics."""
    outputs = torch.tensor([[0.0, -1e-3, float("nan")]])
    assert describe_set(outputs, LABELS, 0.5) == {
        "predicted": ["a", "c"],
        "probabilities": {"a": 0.5, "b": 0.49975, "c": 0.5},
    }
    threshold = torch.tensor(0.7)
    assert threshold.item() < 0.7
    near = next(
        x for x in torch.linspace(0.8472, 0.8474, 4001) if x.sigmoid().item() == threshold.item()
    )
    assert describe_set(near[None, None], ["a"], 0.7)["predicted"] == ["a"]
