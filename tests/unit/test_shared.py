"""Arithmetic on the gradients of shared parameters, dense or sparse or 0."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.testing import assert_close

from tartan import Needs, Shared, Term, backward
from tartan.shared import products, products_of_parts
from tartan_weightings.meta import Meta, MetaOptions

WEIGHT = torch.tensor(0.3)


def dense() -> Tensor:
    return torch.arange(10.0).view(5, 2) - 4


def rows(*index: int) -> Tensor:
    """Rows of a table of five; the same row twice adds up."""
    values = torch.arange(2.0 * len(index)).view(-1, 2) + 1
    return torch.sparse_coo_tensor(torch.tensor([index]), values, (5, 2), check_invariants=True)


def parts() -> list[Tensor | None]:
    return [None, dense(), rows(0, 2), rows(2, 1, 4, 2), rows()]


def table(part: Tensor | None) -> Tensor:
    """A part as a dense table, a copy."""
    return torch.zeros(5, 2) if part is None else part.to_dense().clone()


def shared_of(*parameters: Tensor) -> Shared:
    return Shared([nn.Parameter(each) for each in parameters])


@pytest.mark.parametrize("own", range(5))
@pytest.mark.parametrize("onto", range(5))
@pytest.mark.parametrize("other", range(5))
def test_sparse_gradients_are_measured_and_added_as_dense_ones(own: int, onto: int, other: int):
    shared = shared_of(torch.zeros(5, 2))
    gradient, total, dev = (parts()[each] for each in (own, onto, other))
    before, sum_before, beside = (table(part) for part in (gradient, total, dev))
    assert_close(shared.product([gradient], [dev]), (before * beside).sum())
    assert_close(shared.norm([gradient]), before.norm())
    (found,) = shared.add([total], [gradient], WEIGHT)
    assert_close(table(found), sum_before + 0.3 * before)
    assert_close(table(dev), beside)
    shared.give([found])
    assert_close(shared.parameters[0].grad, sum_before + 0.3 * before)


def test_parameters_without_a_gradient_count_as_0():
    shared = shared_of(torch.zeros(5, 2), torch.zeros(5, 2))
    gradient, total = [None, dense()], [dense(), None]
    assert shared.product(gradient, [dense(), None]) == 0
    assert_close(shared.norm(gradient), dense().norm())
    assert_close(shared.add(total, gradient, WEIGHT), [dense(), 0.3 * dense()])
    shared.give([None, None])
    assert not any(parameter.grad.any() for parameter in shared.parameters)
    assert shared.norm([None, None]) == 0


@pytest.mark.parametrize("part", range(5))
def test_a_flat_gradient_holds_every_part(part: int):
    shared = shared_of(torch.zeros(3), torch.zeros(5, 2))
    flat = shared.flatten([None, parts()[part]], shared.flat())
    assert_close(flat, torch.cat([torch.zeros(3), table(parts()[part]).flatten()]))
    shared.give_flat(flat)
    assert_close(shared.parameters[1].grad, table(parts()[part]))


def test_a_non_finite_row_does_not_change_the_others():
    spoiled = torch.sparse_coo_tensor([[1]], torch.full((1, 2), torch.nan), (5, 2))
    shared = shared_of(torch.zeros(5, 2))
    assert shared.product([rows(0, 2)], [spoiled]) == 0
    assert shared.product([rows(1)], [spoiled]).isnan()


class Words:
    """Objectives over embeddings of ten words and a matrix; some through a tied decoder."""

    def __init__(self, *, sparse: bool) -> None:
        torch.manual_seed(0)
        self.embedding, self.sparse = nn.Parameter(torch.randn(10, 4)), sparse
        self.matrix = nn.Parameter(torch.randn(4, 4))
        self.before = nn.Parameter(torch.randn(3))
        self.unused = nn.Parameter(torch.randn(2))

    def term(self, words: list[list[int]], *, tied: bool = False) -> Term:
        """Some micro-batches of words."""

        def loss(micro: list[int]) -> Tensor:
            read = functional.embedding(torch.tensor(micro), self.embedding, sparse=self.sparse)
            hidden = (read @ self.matrix).tanh() + self.before.sum()
            if tied:
                hidden = hidden @ self.embedding.T
            return hidden.pow(2).sum()

        return Term([lambda micro=micro: loss(micro) for micro in words], 3)

    def steps(self, tied: tuple[bool, ...], needs: Needs) -> list[list[Tensor]]:
        """Signals and gradients of three steps that read other words each."""
        parameters = [self.before, self.embedding, self.unused, self.matrix]
        shared = Shared(parameters)
        weighting = Meta(MetaOptions(), tuple(map(str, tied)))
        found = []
        for step in range(3):
            terms = [
                self.term([[step, step + 2 + index], [1]], tied=each)
                for index, each in enumerate(tied)
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
def test_sparse_and_dense_embeddings_give_the_same_step(tied: tuple[bool, ...], needs: Needs):
    sparse, plain = (Words(sparse=each).steps(tied, needs) for each in (True, False))
    for found, expected in zip(sparse, plain, strict=True):
        assert not any(tensor.is_sparse for tensor in found)
        assert_close(found, expected)


def test_a_gradient_that_was_taken_does_not_change():
    matrix = nn.Parameter(torch.eye(2))
    shared, found = Shared([matrix]), []
    for factor in (1.0, 2.0):
        (matrix.square().sum() * factor).backward()
        found.append(shared.take())
        assert matrix.grad is None
    assert_close([each[0] for each in found], [2 * torch.eye(2), 4 * torch.eye(2)])


def test_frozen_parameters_are_not_shared():
    frozen = nn.Parameter(torch.ones(2), requires_grad=False)
    assert Shared([frozen, nn.Parameter(torch.ones(3))]).size == 3


@pytest.mark.parametrize("size", [64, 100])
def test_inner_products_by_parts_are_those_of_whole_rows(size: int):
    rows, others = torch.randn(3, size).double(), torch.randn(2, size).double()
    torch.testing.assert_close(products_of_parts(rows, others, 16), rows @ others.T)
    torch.testing.assert_close(products(rows, others), rows @ others.T)


def test_by_parts_they_are_no_less_exact():
    rows = torch.rand(2, 1 << 20)
    exact = (rows.double() @ rows.double().T)[0, 1]
    found = products_of_parts(rows, rows, 1 << 16)[0, 1].double()
    assert (found - exact).abs() / exact < 1e-6
