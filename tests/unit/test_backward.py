"""The backward primitive: the same gradient by every way, exact under accumulation."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import tartan
from support.problems import WEIGHTS, Fixed, Problem
from tartan import GramianWeighting, Needs, PluginError, Shared, Signals, Term, backward
from tartan_weightings.meta import Meta, MetaOptions
from tartan_weightings.static import Static, StaticOptions


def plain(problem: Problem, weights: Tensor) -> list[Tensor]:
    """The weighted sum of mean losses, by plain autograd."""
    modules = [problem.body, *problem.heads]
    parameters = [p for m in modules for p in m.parameters()]
    losses = [problem.loss(i, rows) / len(rows) for i, rows in enumerate(problem.rows)]
    return list(
        torch.autograd.grad(sum(w * v for w, v in zip(weights, losses, strict=False)), parameters)
    )


WAYS = [Needs.LOSSES, Needs.DEV, Needs.GRADIENTS, Needs.GRADIENTS | Needs.DEV]


@pytest.mark.parametrize("micro", [1, 3])
@pytest.mark.parametrize("needs", WAYS)
def test_every_way_leaves_the_gradient_of_the_weighted_sum(needs: Needs, micro: int):
    problem = Problem()
    backward(
        problem.terms(micro),
        Fixed(WEIGHTS, needs),
        problem.shared(),
        dev=problem.dev_term(),
    )
    assert_close(problem.gradients(), plain(problem, WEIGHTS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("needs", WAYS)
def test_signals_are_those_of_the_whole_batch_under_accumulation(needs: Needs):
    problem = Problem()
    weighting, dev = Fixed(WEIGHTS, needs), problem.dev_term()
    whole, split = (
        backward(problem.terms(micro), weighting, problem.shared(), dev=dev) for micro in (1, 4)
    )
    assert_close(vars(split), vars(whole), rtol=1e-5, atol=1e-6)


def test_inner_products_are_those_of_the_gradients_on_the_body():
    problem = Problem()
    signals = backward(
        problem.terms(),
        Fixed(WEIGHTS, Needs.GRADIENTS | Needs.DEV),
        problem.shared(),
        dev=problem.dev_term(),
    )
    gradients = torch.stack(
        [problem.gradient_of(problem.loss(i, r) / len(r)) for i, r in enumerate(problem.rows)]
    )
    dev = problem.gradient_of(problem.dev_term().pieces[0]() / len(problem.dev))
    assert_close(signals.gramian, gradients @ gradients.T)
    assert_close(signals.dev, gradients @ dev)
    assert_close(signals.norms, gradients.norm(dim=1))
    assert_close(signals.dev_norm, dev.norm())
    assert_close(signals.alignment, torch.cosine_similarity(gradients, dev[None]))


def test_a_stream_measures_what_the_gramian_measures():
    problem = Problem()
    stream, gramian = (
        backward(problem.terms(), Fixed(WEIGHTS, n), problem.shared(), dev=problem.dev_term())
        for n in (Needs.DEV, Needs.DEV | Needs.GRADIENTS)
    )
    assert_close(stream.dev, gramian.dev)
    assert_close(stream.norms, gramian.norms)
    assert stream.gramian is None


@pytest.mark.parametrize("needs", WAYS)
def test_a_step_costs_the_backward_passes_that_are_declared(needs: Needs):
    problem = Problem()
    passes = 0

    def count(gradient: Tensor) -> None:
        nonlocal passes
        passes += 1

    terms = problem.terms()
    problem.body[0].weight.register_hook(count)
    backward(terms, Fixed(WEIGHTS, needs), problem.shared(), dev=problem.dev_term())
    assert passes == tartan.cost(needs, 3).backwards


def test_gradients_are_set_and_not_added_to():
    problem = Problem()
    shared = problem.shared()
    for _ in range(2):
        backward(problem.terms(), Fixed(WEIGHTS, Needs.LOSSES), shared)
    assert_close(problem.gradients(), plain(problem, WEIGHTS), rtol=1e-5, atol=1e-6)


def test_a_step_with_losses_after_a_step_with_gradients_is_not_disturbed():
    problem = Problem()
    shared = problem.shared()
    for needs in (Needs.DEV, Needs.LOSSES, Needs.DEV):
        backward(problem.terms(), Fixed(WEIGHTS, needs), shared, dev=problem.dev_term())
        assert_close(problem.gradients(), plain(problem, WEIGHTS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("needs", WAYS)
def test_a_head_that_two_objectives_share_gets_the_weighted_sum(needs: Needs):
    problem = Problem()
    problem.heads[2] = problem.heads[1]
    backward(problem.terms(), Fixed(WEIGHTS, needs), problem.shared(), dev=problem.dev_term())
    losses = [problem.loss(i, rows) / len(rows) for i, rows in enumerate(problem.rows)]
    expected = torch.autograd.grad(
        sum(w * v for w, v in zip(WEIGHTS, losses, strict=False)), problem.heads[1].weight
    )
    assert_close(problem.heads[1].weight.grad, expected[0])


@pytest.mark.parametrize("needs", WAYS)
def test_a_parameter_that_is_listed_twice_counts_once(needs: Needs):
    """As `[*encoder.parameters(), *decoder.parameters()]` with a tied weight."""
    problem = Problem()
    twice = Shared([*problem.body.parameters(), *problem.body[0].parameters()])
    terms = [replace(term, private=[*term.private] * 2) for term in problem.terms()]
    weighting, dev = Fixed(WEIGHTS, needs), problem.dev_term()
    signals = backward(terms, weighting, twice, dev=dev, scale=8.0)
    assert_close(problem.gradients(), plain(problem, WEIGHTS), rtol=1e-5, atol=1e-6)
    expected = backward(problem.terms(), weighting, problem.shared(), dev=dev)
    assert_close(vars(signals), vars(expected))


@pytest.mark.parametrize("needs", WAYS)
def test_a_negative_weight_moves_the_body_and_not_the_head(needs: Needs):
    problem, weights = Problem(), torch.tensor([1.0, -0.5, 0.3])
    weighting = Fixed(weights, needs)
    weighting.signed = True
    backward(problem.terms(), weighting, problem.shared(), dev=problem.dev_term())
    expected = plain(problem, weights)
    for index in (-4, -3):  # the second head's weight and bias, of six
        expected[index] = torch.zeros_like(expected[index])
    assert_close(problem.gradients(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("needs", WAYS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_parameters_may_have_another_dtype_than_the_weights(needs: Needs, dtype: torch.dtype):
    problem = Problem()
    for module in (problem.body, *problem.heads):
        module.to(dtype)
    problem.rows, problem.dev = [rows.to(dtype) for rows in problem.rows], problem.dev.to(dtype)
    backward(problem.terms(), Fixed(WEIGHTS, needs), problem.shared(), dev=problem.dev_term())
    rtol = 0.1 if dtype is torch.bfloat16 else 1e-6
    assert_close(problem.gradients(), plain(problem, WEIGHTS), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("needs", WAYS)
def test_the_dev_gradient_stays_out_of_the_update(needs: Needs):
    problem = Problem()
    huge = Term([lambda: 1e6 * problem.body(problem.dev).sum()])
    backward(problem.terms(), Fixed(WEIGHTS, needs), problem.shared(), dev=huge)
    assert_close(problem.gradients(), plain(problem, WEIGHTS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("needs", WAYS)
def test_a_dev_loss_through_a_head_that_trains_stays_out_of_its_gradient(needs: Needs):
    problem = Problem()
    dev = Term([lambda: 1e6 * problem.loss(0, problem.dev)])
    backward(problem.terms(), Fixed(WEIGHTS, needs), problem.shared(), dev=dev)
    assert_close(problem.gradients(), plain(problem, WEIGHTS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("needs", WAYS)
def test_a_zero_weight_still_has_signals_and_adds_nothing(needs: Needs):
    problem, weights = Problem(), torch.tensor([1.0, 0.0, 0.0])
    signals = backward(
        problem.terms(), Fixed(weights, needs), problem.shared(), dev=problem.dev_term()
    )
    alone = problem.gradient_of(problem.loss(0, problem.rows[0]) / 12)
    body = torch.cat([p.grad.flatten() for p in problem.body.parameters()])
    assert_close(body, alone)
    if signals.norms is not None:
        assert (signals.norms > 0).all()


def test_a_batch_without_items_counts_nothing():
    problem = Problem()
    empty = Term([lambda: problem.body(problem.dev[:0]).sum()], 0)
    signals = backward(
        [problem.terms()[0], empty],
        Fixed(WEIGHTS[:2], Needs.DEV),
        problem.shared(),
        dev=problem.dev_term(),
    )
    assert signals.losses[1] == 0
    assert signals.alignment[1] == 0


def test_objectives_may_have_different_numbers_of_micro_batches():
    problem = Problem()
    terms = [problem.terms(micro)[i] for i, micro in enumerate((1, 2, 4))]
    backward(terms, Fixed(WEIGHTS, Needs.LOSSES), problem.shared())
    assert_close(problem.gradients(), plain(problem, WEIGHTS), rtol=1e-5, atol=1e-6)


def test_a_weighting_may_solve_on_the_gramian_of_the_step_itself():
    class LeastNorm(Fixed):
        """The least-norm point between two gradients (MGDA, Desideri 2012)."""

        def combine(self, signals: Signals) -> Tensor:
            (aa, ab), (_, bb) = signals.gramian
            first = ((bb - ab) / (aa + bb - 2 * ab)).clamp(0, 1)
            return torch.stack([first, 1 - first])

    problem = Problem()
    signals = backward(
        problem.terms()[:2], LeastNorm(WEIGHTS[:2], Needs.GRADIENTS), problem.shared()
    )
    update = torch.cat([p.grad.flatten() for p in problem.body.parameters()])
    assert_close(signals.weights.sum(), torch.tensor(1.0))
    assert update.norm() <= signals.norms.min() + 1e-6


def test_it_serves_a_training_loop_of_ones_own():
    """MT and META in somebody else's loop: losses that are computed already, any modality."""
    problem = Problem()
    shared = problem.shared()
    for weighting in (
        Static(StaticOptions(), ("task", "aux")),
        Meta(MetaOptions(lr=0.1), ("task", "aux")),
    ):
        losses = [problem.loss(i, rows) / len(rows) for i, rows in enumerate(problem.rows[:2])]
        signals = backward(
            [Term.of(v, h.parameters()) for v, h in zip(losses, problem.heads, strict=False)],
            weighting,
            shared,
            dev=Term.of(problem.body(problem.dev).pow(2).mean()),
        )
        weighting.update(signals)
        assert_close(signals.losses, torch.stack(losses).detach())
        assert_close(weighting.weights().sum(), torch.tensor(1.0))


@pytest.mark.parametrize("needs", WAYS)
def test_losses_may_share_a_forward_pass(needs: Needs):
    problem = Problem()
    hidden = problem.body(problem.rows[0])
    losses = [head(hidden).pow(2).mean() for head in problem.heads]
    heads = [list(head.parameters()) for head in problem.heads]
    modules = [p for m in (problem.body, *problem.heads) for p in m.parameters()]
    weighted = sum(w * v for w, v in zip(WEIGHTS, losses, strict=True))
    expected = list(torch.autograd.grad(weighted, modules, retain_graph=True))
    terms = [Term.of(v, h) for v, h in zip(losses, heads, strict=True)]
    dev = Term.of(problem.body(problem.dev).pow(2).mean())
    backward(terms, Fixed(WEIGHTS, needs), problem.shared(), dev=dev)
    assert_close(problem.gradients(), expected, rtol=1e-5, atol=1e-6)


def test_the_dev_gradient_is_asked_for_where_it_is_missing():
    problem = Problem()
    with pytest.raises(ValueError, match="needs the dev gradient: pass dev="):
        backward(problem.terms(), Fixed(WEIGHTS, Needs.DEV), problem.shared())


@pytest.mark.parametrize(
    "parameters",
    [[nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2, dtype=torch.float64))]],
)
def test_shared_parameters_need_one_dtype(parameters: Sequence[nn.Parameter]):
    with pytest.raises(ValueError, match="one dtype and one device"):
        Shared(parameters)


def test_a_weighting_draws_from_the_generator_it_is_given():
    class Shuffling(Fixed):
        def combine(self, signals: Signals) -> Tensor:
            return WEIGHTS[torch.randperm(3, generator=signals.generator)]

    problem, weighting = Problem(), Shuffling(WEIGHTS, Needs.GRADIENTS)
    seeds = [torch.Generator().manual_seed(seed) for seed in (*range(5), 0)]
    drawn = [backward(problem.terms(), weighting, problem.shared(), generator=g) for g in seeds]
    assert torch.equal(drawn[0].weights, drawn[-1].weights)
    assert len({tuple(signals.weights.tolist()) for signals in drawn}) > 1
    assert [signals.generator for signals in drawn] == seeds, "update draws from it too"


def test_signals_keep_the_weights_that_a_step_was_taken_with():
    problem, weights = Problem(), WEIGHTS.clone()
    signals = backward(problem.terms(), Fixed(weights, Needs.LOSSES), problem.shared())
    weights.zero_()
    assert_close(signals.weights, WEIGHTS)


@pytest.mark.parametrize("needs", [Needs.LOSSES, Needs.GRADIENTS])
def test_a_micro_batch_without_items_of_any_objective_adds_nothing(needs: Needs):
    problem = Problem()
    with_none = [replace(term, pieces=[*term.pieces, None]) for term in problem.terms()]
    backward(problem.terms(), Fixed(WEIGHTS, needs), problem.shared())
    expected = problem.gradients()
    backward(with_none, Fixed(WEIGHTS, needs), problem.shared())
    assert_close(problem.gradients(), expected)


class Scaling(GramianWeighting):
    """Has a parameter that only `combine` reads."""

    needs = Needs.LOSSES | Needs.GRADIENTS

    def __init__(self, options: object, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        self.scale = nn.Parameter(torch.ones(()))

    def combine(self, signals: Signals) -> Tensor:
        return self.scale * self.last


def test_parameters_that_a_weightings_loss_does_not_read_are_refused():
    body = nn.Parameter(torch.ones(2))
    with pytest.raises(PluginError) as caught:
        backward([Term([body.sum])] * 2, Scaling(None, ("a", "b")), Shared([body]))
    assert str(caught.value) == (
        "the loss of the weighting Scaling depends on none of its parameters: override `loss`; "
        "`combine` is not differentiated. A parameter that is not to be trained is a buffer"
    )
