"""MetaBalance: an implementation by loops, and what each strategy may change."""

import pytest
import torch
from torch.testing import assert_close

from support.steps import gradients, signals, take
from tartan_weightings.metabalance import MetaBalance, MetaBalanceOptions

NAMES = ("task", "a", "b", "c")


def made(**options: object) -> MetaBalance:
    return MetaBalance(MetaBalanceOptions(**options), NAMES)


def test_weights_are_those_of_the_papers_loop():
    weighting, means = made(), [0.0] * len(NAMES)
    for step in range(5):
        rows = gradients(4, step) * torch.tensor([[1.0], [10.0], [0.1], [1.0]])
        means = [0.9 * m + 0.1 * row.norm().item() for m, row in zip(means, rows, strict=True)]
        expected = [1.0] + [means[0] / m * 0.7 + 0.3 for m in means[1:]]
        assert_close(take(weighting, signals(rows)), torch.tensor(expected))
        assert_close(weighting.weights(), torch.tensor(expected))


def test_fully_relaxed_gradients_have_the_end_tasks_length():
    rows = gradients(4) * torch.tensor([[1.0], [10.0], [0.1], [1.0]])
    weights = made(relax=1.0, beta=0.0).combine(signals(rows))
    lengths = (weights[:, None] * rows).norm(dim=1)
    assert_close(lengths, rows[0].norm().expand(4))
    assert_close(made(relax=0.0).combine(signals(rows)), torch.ones(4))


@pytest.mark.parametrize(("strategy", "kept"), [("reduce", 2), ("enlarge", 1)])
def test_a_strategy_changes_gradients_on_one_side_only(strategy: str, kept: int):
    rows = torch.tensor([[1.0], [10.0], [0.1], [1.0]])
    weights = made(strategy=strategy, beta=0.0).combine(signals(rows))
    assert weights[kept] == 1
    assert weights[3 - kept] != 1
