"""Mistakes of an end task, and of metrics, that a contract names."""

import pytest
import torch

from support.breakers import Faithful, FaithfulEndTask, Options
from tartan import Loss, Objective
from tartan.testing import Broken, ObjectiveContract

METRICS, SCORES, PROBE = (
    "test_metrics_are_sums_over_the_items",
    "test_an_end_task_scores_what_it_predicts",
    "test_a_probe_takes_the_place_of_an_end_tasks_head",
)


def judge(base: type[Objective], rule: str, **methods) -> None:
    cls = type("Mine", (base,), {"Options": Options, **methods})
    getattr(type("It", (ObjectiveContract,), {"objective": cls})(), rule)()


def mean_loss(self, hidden, batch):
    losses = self.losses(hidden, batch)
    return Loss(losses.sum(), {"mean": losses.detach().mean()})


@pytest.mark.parametrize(
    ("base", "rule", "methods", "said"),
    [
        (Faithful, METRICS, {"loss": mean_loss}, "the metric mean of a batch is .* sum is"),
        (
            FaithfulEndTask,
            SCORES,
            {"in_label_units": lambda _, outputs: outputs[1:]},
            "in_label_units returns 11 outputs for 12 items",
        ),
        (
            FaithfulEndTask,
            SCORES,
            {"score": lambda *_: {"accuracy": float("nan")}},
            "score returns accuracy nan",
        ),
        (
            FaithfulEndTask,
            PROBE,
            {"features": lambda _, hidden, batch: hidden},
            r"its features have shape \[\d+, \d+\], not \[items, hidden\]: \[12, ",
        ),
        (
            FaithfulEndTask,
            PROBE,
            {"probe": lambda self, _: torch.nn.Linear(self._hidden_size, 9)},
            r"its probe's outputs have shape \[12, 9\], and the head's \[12, \d\]",
        ),
        (
            FaithfulEndTask,
            PROBE,
            {"criterion": lambda _, outputs, batch: outputs.detach().sum()},
            "the criterion of its probe's outputs is",
        ),
    ],
)
def test_a_mistake_is_named(base, rule, methods, said):
    with pytest.raises(Broken, match=said):
        judge(base, rule, **methods)


def test_metrics_that_are_sums_are_kept():
    def loss(self, hidden, batch):
        losses = self.losses(hidden, batch)
        return Loss(losses.sum(), {"high": (losses.detach() > 1).sum()})

    judge(Faithful, METRICS, loss=loss)
