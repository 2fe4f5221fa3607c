"""Gradients as autograd hands them over: what is left out because it is 0 changes nothing."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from tartan import Needs, Shared, Term, backward
from tartan.body.embedding import Embedding
from tartan.gradient import Gradient, Part, Rows, accumulate, whole
from tartan_weightings.meta import Meta, MetaOptions

FEW = Rows(torch.tensor([0, 2]), torch.tensor([[1.0, 2], [3, 4]]))
OTHERS = Rows(torch.tensor([1, 2, 4]), torch.tensor([[5.0, 6], [7, 8], [9, 10]]))
NONE = Rows(torch.tensor([], dtype=torch.int64), torch.zeros(0, 2))
WEIGHT = torch.tensor(0.3)


def dense() -> Tensor:
    return torch.arange(10.0).view(5, 2) - 4


def table(part: Part | None) -> Tensor:
    """A part as a table of five rows, a copy."""
    return whole(part, lambda: torch.empty(5, 2)).clone()


def parts() -> list[Part | None]:
    return [None, dense(), FEW, OTHERS, NONE]


@pytest.mark.parametrize("own", range(1, 5))
@pytest.mark.parametrize("onto", range(5))
@pytest.mark.parametrize("other", range(5))
def test_it_is_measured_and_added_whole(own, onto, other):
    gradient, total, dev = (Gradient([parts()[each]]) for each in (own, onto, other))
    (before, sum_before, beside) = (table(each.parts[0]) for each in (gradient, total, dev))
    product, norm = accumulate(gradient, WEIGHT, total, dev)
    assert_close(product, (before * beside).sum())
    assert_close(norm, before.norm())
    assert_close(table(total.parts[0]), sum_before + 0.3 * before)
    assert_close(table(dev.parts[0]), beside)


def test_parameters_without_a_gradient_count_as_0():
    gradient, total = Gradient([None, dense()]), Gradient([dense(), None])
    product, norm = accumulate(gradient, WEIGHT, total, Gradient([dense(), None]))
    assert (product, norm) == (0, dense().norm())
    assert_close([*map(table, total.parts)], [dense(), 0.3 * dense()])
    product, norm = accumulate(Gradient([None]), WEIGHT, Gradient([None]), Gradient([None]))
    assert (product, norm) == (0, 0)


def test_rows_for_the_same_row_add_up():
    found = Rows.of(torch.tensor([4, 1, 4]), torch.tensor([[1.0, 1], [2, 2], [3, 3]]))
    assert found.index.tolist() == [1, 4]
    assert found.values.tolist() == [[2, 2], [4, 4]]
    assert_close(table(found.plus(OTHERS)), table(found) + table(OTHERS))


def test_what_is_not_finite_stays_in_its_row():
    spoiled = Rows(torch.tensor([1]), torch.full((1, 2), torch.nan))
    assert spoiled.at(torch.tensor([0, 2])).tolist() == [[0, 0], [0, 0]]


class Words:
    """Objectives over embeddings of ten words and a matrix; some through a tied decoder."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.embedding = Embedding(nn.Parameter(torch.randn(10, 4)))
        self.matrix = nn.Parameter(torch.randn(4, 4))
        self.before = nn.Parameter(torch.randn(3))
        self.unused = nn.Parameter(torch.randn(2))

    def term(self, words: list[list[int]], *, tied: bool = False) -> Term:
        """Some micro-batches of words."""

        def loss(micro: list[int]) -> Tensor:
            hidden = (self.embedding(torch.tensor(micro)) @ self.matrix).tanh() + self.before.sum()
            if tied:
                hidden = hidden @ self.embedding.weight.T
            return hidden.pow(2).sum()

        return Term([lambda micro=micro: loss(micro) for micro in words], 3)

    def steps(
        self, tied: tuple[bool, ...], needs: Needs, *, told: bool, flat: bool
    ) -> list[list[Tensor]]:
        """Signals and gradients of three steps that read other words each."""
        lookup = self.embedding if told else None
        parameters = [self.before, self.embedding.weight, self.unused, self.matrix]
        shared = Shared(parameters, lookup, flat=flat)
        weighting = Meta(MetaOptions(), tuple(map(str, tied)))
        found = []
        for step in range(3):
            terms = [
                self.term([[step, step + 2 + place], [1]], tied=each)
                for place, each in enumerate(tied)
            ]
            dev = self.term([[step + 3, 9]])
            signals = backward(terms, weighting, shared, dev=dev, needs=needs)
            measured = [signals.losses, signals.norms, signals.dev, signals.dev_norm]
            found.append(
                [*(m for m in measured if m is not None), *(p.grad.clone() for p in parameters)]
            )
        return found


@pytest.mark.parametrize("needs", [Needs.LOSSES, Needs.DEV, Needs.DEV | Needs.GRADIENTS])
@pytest.mark.parametrize(
    "tied", [(False,), (True,), (False, False), (False, True, False), (True, False)]
)
def test_rows_parts_and_flat_buffers_give_the_same_step(tied, needs):
    rows, whole_parts, flat = (
        Words().steps(tied, needs, told=told, flat=flat)
        for told, flat in ((True, False), (False, False), (True, True))
    )
    for one, *others in zip(rows, whole_parts, flat, strict=True):
        for other in others:
            assert_close(other, one)


def test_rows_that_were_not_read_are_left_out():
    words = Words()
    shared = Shared([words.before, words.embedding.weight, words.matrix], words.embedding)
    shared.begin()
    words.term([[2, 5], [5]]).pieces[0]().backward()
    _, rows, _ = shared.take().parts
    assert isinstance(rows, Rows)
    assert rows.index.tolist() == [2, 5]


def test_embeddings_that_are_not_shared_are_autograds():
    words = Words()
    shared = Shared([words.matrix], words.embedding)
    shared.begin()
    words.term([[2, 5]]).pieces[0]().backward()
    assert words.embedding.weight.grad.any(1).tolist() == [place in (2, 5) for place in range(10)]
    assert len(shared.take().parts) == 1


@pytest.mark.parametrize("flat", [True, False])
def test_a_gradient_that_was_taken_is_nobodys(flat):
    """What comes after a gradient changes nothing in it."""
    matrix = nn.Parameter(torch.eye(2))
    shared, found = Shared([matrix], flat=flat), []
    for factor in (1.0, 2.0):
        shared.begin()
        (matrix.square().sum() * factor).backward()
        found.append(shared.take())
        assert matrix.grad is None
    shared.begin()
    assert_close([each.parts[0].view(2, 2) for each in found], [2 * torch.eye(2), 4 * torch.eye(2)])
