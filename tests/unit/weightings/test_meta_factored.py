"""Factored logits of composed objectives follow the dev gradient (AANG)."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from support.steps import gradients, signals
from tartan import Needs, Signals
from tartan.active import Active
from tartan_weightings.meta_factored import MetaFactored, MetaFactoredOptions

NAMES = ("task", "bert", "gpt", "rtd")
FACTORS = {
    "bert": {"data": "task", "output": "original"},
    "gpt": {"data": "task", "output": "next"},
}


def make(**options: float) -> MetaFactored:
    weighting = MetaFactored(MetaFactoredOptions(**options), NAMES)  # type: ignore[arg-type]
    weighting.describe(FACTORS)
    return weighting


def measured(weighting: MetaFactored, indices: list[int]) -> Signals:
    full = signals(gradients(4), dev=gradients(1, step=9)[0])
    some = Active(indices, 4, torch.device("cpu"))
    assert full.norms is not None
    assert full.dev is not None
    weights = weighting.applied(some.mask)
    return replace(
        full, gramian=None, weights=weights * some.mask, norms=full.norms * some.mask,
        dev=full.dev * some.mask, active=some.mask,
    )  # fmt: skip


def test_it_starts_with_half_for_the_end_task_and_equal_auxiliaries():
    assert_close(make().weights(), torch.tensor([1 / 2, 1 / 6, 1 / 6, 1 / 6]))
    only_two = torch.tensor([True, True, False, True])
    assert_close(make().applied(only_two), torch.tensor([1 / 2, 1 / 4, 0, 1 / 4]))


def test_a_logit_is_its_own_part_and_those_of_its_factors():
    weighting = make(lr=0.1, end_lr=0.0)
    given = measured(weighting, [0, 1, 2, 3])
    assert given.alignment is not None
    _, bert, gpt, rtd = given.alignment.tolist()
    weighting.update(given)
    # The data are the same: both cosines move its part, which both logits contain.
    shared = bert + gpt
    expected = 0.1 * torch.tensor([2 * bert + shared, 2 * gpt + shared, rtd])
    assert_close(weighting.logits(), expected)
    assert_close(weighting.weights()[1:], 0.5 * expected.softmax(0))


def test_what_is_not_computed_moves_by_its_factors_alone():
    weighting = make(lr=0.1)
    given = measured(weighting, [0, 1])
    assert given.alignment is not None
    bert = given.alignment[1].item()
    weighting.update(given)
    assert_close(weighting.logits(), 0.1 * torch.tensor([3 * bert, bert, 0]))


def test_the_end_task_and_all_auxiliaries_have_two_logits():
    weighting = make(lr=0.0, end_lr=0.5)
    given = measured(weighting, [0, 1, 3])
    assert given.alignment is not None
    end, bert, _, rtd = given.alignment
    weighting.update(given)
    assert_close(weighting.ends, 0.5 * torch.stack([end, (bert + rtd) / 2]))
    assert_close(weighting.weights()[0], weighting.ends.softmax(0)[0])


def test_a_step_computes_some_uniformly_and_every_third_is_measured():
    weighting = make(sampled=2)
    counts = torch.zeros(4)
    for number in range(900):
        indices = weighting.active(number, torch.Generator().manual_seed(number))
        assert indices is not None
        assert len(indices) == 3
        counts[list(indices)] += 1
    assert_close(counts / 900, weighting.chances(), atol=0.06, rtol=0)
    assert [weighting.due(n) == Needs.LOSSES for n in range(4)] == [False, True, True, False]


def test_steps_that_are_not_measured_change_nothing():
    weighting = make()
    before = {name: value.clone() for name, value in weighting.state_dict().items()}
    weighting.update(Signals(torch.ones(4), weighting.weights()))
    assert all(torch.equal(value, before[name]) for name, value in weighting.state_dict().items())


def test_its_state_is_saved_with_the_factors_logits():
    one, other = make(lr=1.0), make()
    one.update(measured(one, [0, 1, 2]))
    other.load_state_dict(one.state_dict())
    assert_close(other.weights(), one.weights())
    assert one.shared.abs().sum() > 0


def aligned(weighting: MetaFactored, cosines: list[float], indices: list[int]) -> Signals:
    """Signals of a measured step whose alignments are given."""
    some = Active(indices, 4, torch.device("cpu"))
    weights = weighting.applied(some.mask)
    return Signals(
        torch.ones(4), weights, norms=torch.ones(4), dev=torch.tensor(cosines) * some.mask,
        dev_norm=torch.ones(()), active=some.mask,
    )  # fmt: skip


def test_a_factors_logits_keep_their_difference_where_everything_helps():
    """They grow together; what counts is their difference, which is at most `spread`."""
    weighting = make(lr=0.1, end_lr=0.0)
    for _ in range(20_000):
        weighting.update(aligned(weighting, [0.0, 0.3, 0.299, 0.0], [0, 1, 2, 3]))
    data, following, original = weighting.shared.tolist()
    assert max(data, following, original) <= 6
    assert original - following == pytest.approx(20_000 * 0.1 * 0.001, rel=0.02)


def test_a_step_compares_the_objectives_that_it_computes():
    """Two that are both far below a third one still differ."""
    weighting = make(spread=6.0)
    weighting.own = torch.tensor([12.0, 4.0, 0.0])
    without_the_highest = torch.tensor([True, False, True, True])
    found = weighting.applied(without_the_highest)
    assert_close(found, torch.tensor([0.5, 0.0, *(0.5 * torch.tensor([4.0, 0.0]).softmax(0))]))
