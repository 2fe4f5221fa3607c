"""Arguments of the backward primitive: what would be silently wrong is refused by name."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from support.problems import WEIGHTS, Fixed, Problem
from tartan import Needs, Shared, Term, Weighting, backward


class Loop:
    """A loop of one's own: a body, two heads, and losses that are already computed."""

    def __init__(self) -> None:
        problem = Problem()
        self.body, (self.first, self.second, _) = problem.body, problem.heads
        hidden = self.body(problem.rows[0])
        self.losses = [self.first(hidden).pow(2).mean(), self.second(hidden).pow(2).mean()]
        self.dev = self.first(self.body(problem.dev)).pow(2).mean()
        self.shared = Shared(self.body.parameters())

    def terms(self) -> list[Term]:
        heads = self.first, self.second
        return [
            Term.of(loss, head.parameters()) for loss, head in zip(self.losses, heads, strict=True)
        ]


PAIR = Fixed(torch.tensor([0.5, 0.5]), Needs.LOSSES)
META = Fixed(torch.tensor([0.5, 0.5]), Needs.DEV)
REACHES = "its loss reaches a trainable parameter of shape"


@pytest.mark.parametrize("weighting", [PAIR, META])
def test_a_head_that_is_not_private_is_refused(weighting: Weighting):
    """It would keep what each backward pass adds to it: the dev gradient too."""
    loop = Loop()
    terms = [loop.terms()[0], Term.of(loop.losses[1])]
    with pytest.raises(ValueError, match=rf"^terms\[1\]: {REACHES}") as refused:
        backward(terms, weighting, loop.shared, dev=Term.of(loop.dev))
    assert "pass it in private of the term that trains it, or freeze it" in str(refused.value)


def test_a_dev_loss_through_a_head_that_no_term_trains_is_refused():
    loop = Loop()
    other = nn.Linear(5, 2)
    dev = Term.of(other(loop.body(torch.ones(1, 4))).sum())
    with pytest.raises(ValueError, match=rf"^dev: {REACHES} \[2"):
        backward(loop.terms(), META, loop.shared, dev=dev)
    for parameter in other.parameters():
        parameter.requires_grad_(False)
    loop = Loop()
    dev = Term.of(other(loop.body(torch.ones(1, 4))).sum())
    backward(loop.terms(), META, loop.shared, dev=dev)


def test_a_dev_loss_through_a_head_that_trains_leaves_the_heads_gradient():
    loop = Loop()
    backward(loop.terms(), META, loop.shared, dev=Term.of(loop.dev))
    again = Loop()
    (expected,) = torch.autograd.grad(again.losses[0] * 0.5, [again.first.weight])
    assert_close(loop.first.weight.grad, expected)


def test_the_graph_is_looked_through_once(monkeypatch: pytest.MonkeyPatch):
    looked = []
    monkeypatch.setattr("tartan.term.reached", lambda loss: looked.append(loss) or [])
    problem = Problem()
    shared = problem.shared()
    for _ in range(3):
        backward(problem.terms(), Fixed(WEIGHTS, Needs.LOSSES), shared)
    assert len(looked) == 3


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda t: t[:1], ValueError, "terms has 1 entry, but the weighting weighs 2 objectives"),
        (lambda t: t[0], TypeError, "terms must be a list of tartan.Term, got Term"),
        (lambda t: [t[0], torch.ones(())], TypeError, "terms[1] must be a tartan.Term, got Tensor"),
        (
            lambda t: [t[0], Term([lambda: 3.0])],
            TypeError,
            "terms[1]: a piece must return a tensor",
        ),
        (
            lambda t: [t[0], Term([lambda: torch.ones(3)])],
            ValueError,
            "terms[1]: a loss must be one floating-point number, got torch.float32 of shape [3]",
        ),
        (
            lambda t: [t[0], Term([], private=(p for p in ()))],  # type: ignore[arg-type]
            TypeError,
            "terms[1].private must be a list, got generator",
        ),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(change, error, message: str):
    loop = Loop()
    with pytest.raises(error) as refused:
        backward(change(loop.terms()), PAIR, loop.shared)
    assert message in str(refused.value)


def test_what_is_shared_is_named():
    loop = Loop()
    with pytest.raises(TypeError, match=r"shared must be a tartan\.Shared, got list"):
        backward(loop.terms(), PAIR, list(loop.body.parameters()))  # type: ignore[arg-type]
    terms = [loop.terms()[0], Term.of(loop.losses[1], loop.body.parameters())]
    with pytest.raises(ValueError, match=r"terms\[1\].private has a shared parameter"):
        backward(terms, PAIR, loop.shared)
    loop.body.requires_grad_(False)
    with pytest.raises(ValueError, match="none is trained"):
        Shared(loop.body.parameters())


def test_a_loss_without_a_gradient_is_refused():
    loop = Loop()
    terms = [replace(term, pieces=[lambda: torch.ones(())]) for term in loop.terms()]
    for weighting in (PAIR, META):
        with pytest.raises(ValueError, match=r"^the loss does not require a gradient: "):
            backward(terms, weighting, loop.shared, dev=Term.of(loop.dev))


def test_a_module_in_place_of_its_parameters_is_named():
    loop = Loop()
    with pytest.raises(TypeError, match=r"^Term\.of: pass head\.parameters\(\), not the head$"):
        Term.of(loop.losses[0], loop.first)  # type: ignore[arg-type]
    for wrong in (loop.body, loop.body.named_parameters()):
        with pytest.raises(TypeError, match=r"^shared parameters: pass module\.parameters\(\)"):
            Shared(wrong)  # type: ignore[arg-type]


def test_arguments_in_another_order_are_named():
    loop = Loop()
    with pytest.raises(TypeError, match=r"^weighting must be a tartan\.Weighting, got Shared: the"):
        backward(loop.terms(), loop.shared, PAIR)  # type: ignore[arg-type]
