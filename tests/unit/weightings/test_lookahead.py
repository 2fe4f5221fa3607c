"""One step ahead: no other weights promise a larger fall of the dev loss."""

import pytest
import torch
from torch.testing import assert_close

from support.steps import gradients, signals, take
from tartan import ConfigError
from tartan_weightings.lookahead import Lookahead, LookaheadOptions, ahead

NAMES = ("task", "a", "b", "c")


def made(**options: float) -> Lookahead:
    return Lookahead(LookaheadOptions(**options), NAMES)


@pytest.mark.parametrize("eta", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("step", range(5))
def test_no_weights_on_the_simplex_promise_more(eta: float, step: int):
    rows, dev = gradients(4, step), gradients(1, step + 100)[0]
    weights = made(eta=eta).combine(signals(rows, dev=dev))
    others = torch.distributions.Dirichlet(torch.full((4,), 0.5)).sample((500,))

    def promised(w: torch.Tensor) -> torch.Tensor:
        update = w @ rows / rows[0].norm()
        return update @ dev / dev.norm() - eta / 2 * update.pow(2).sum(-1)

    assert_close(weights.sum(), torch.tensor(1.0))
    assert (weights >= 0).all()
    assert promised(weights) >= promised(others).max() - 1e-4


def test_equal_auxiliaries_share_and_one_that_hurts_counts_nothing():
    dev = torch.tensor([1.0, 1.0])
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [-1.0, -1.0]])
    weights = made().combine(signals(rows, dev=dev))
    assert_close(weights, torch.tensor([0.5, 0.25, 0.25, 0.0]), rtol=0, atol=1e-3)


@pytest.mark.parametrize("length", [1e2, 1e3, 1e4])
def test_a_long_gradient_that_counts_nothing_does_not_change_the_others(length: float):
    rows = torch.diag(torch.tensor([1.0, 1.0, length]))
    weights = ahead(rows @ rows.T, torch.tensor([0.8, 0.2, 0.0]), torch.tensor(1.0), eta=1.0)
    assert_close(weights.float(), torch.tensor([0.8, 0.2, 0.0]), rtol=0, atol=1e-4)


def test_momentum_keeps_a_share_of_the_last_weights():
    rows = torch.tensor([[1.0], [-1.0], [-1.0], [-1.0]])
    first = take(made(momentum=0.9), signals(rows))
    assert_close(first, torch.tensor([0.1 + 0.9 / 4, *[0.9 / 4] * 3]))


def test_units_do_not_matter():
    rows, dev = gradients(4), gradients(1, 9)[0]
    one = made().combine(signals(rows, dev=dev))
    assert_close(one, made().combine(signals(rows * 1e3, dev=dev * 1e-3)), rtol=1e-4, atol=1e-5)


def test_too_many_objectives_are_refused():
    with pytest.raises(ConfigError, match="weighs at most 12 objectives, found 13: give fewer"):
        Lookahead(LookaheadOptions(), tuple("abcdefghijklm"))
