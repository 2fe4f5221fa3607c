"""Flat gradients: what is left out because it is 0 changes nothing."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from tartan import Needs, Shared, Term, backward
from tartan.body.embedding import Embedding
from tartan.gradient import Gradient, Table, accumulate
from tartan_weightings.meta import Meta, MetaOptions

TABLE = Table(3, 4, 2)
"""Of 20 numbers the third to the tenth: four rows of two."""

FEW = torch.tensor([0, 2])


def gradient(rows: Tensor | None = None) -> Gradient:
    """Random numbers, 0 in rows of the table that are not among the given ones."""
    flat = torch.randn(20, dtype=torch.float64)
    found = Gradient(flat, TABLE, rows)
    if rows is not None:
        others = torch.ones(4, dtype=torch.bool)
        others[rows] = False
        found.embeddings()[others] = 0
    return found


@pytest.mark.parametrize("size", [3, 7, 20, 21])
@pytest.mark.parametrize("of_gradient", [None, FEW, FEW[:0]])
@pytest.mark.parametrize("of_total", [None, FEW + 1])
@pytest.mark.parametrize("of_dev", [None, FEW + 1])
def test_it_is_measured_and_added_whole(monkeypatch, size, of_gradient, of_total, of_dev):
    monkeypatch.setattr("tartan.gradient.SWEPT", size)
    own, total, dev = gradient(of_gradient), gradient(of_total), gradient(of_dev)
    weight = torch.tensor(0.3, dtype=torch.float64)
    before, expected = own.flat.clone(), total.flat + 0.3 * own.flat
    product, norm = accumulate(own, weight, total, dev)
    assert_close(product, dev.flat @ own.flat)
    assert_close(norm, own.flat.norm())
    assert_close(total.flat, expected)
    assert_close(own.norm(), norm)
    found = accumulate(own, weight, own, dev)
    assert_close(torch.stack(found), torch.stack([product, norm]))
    assert_close(own.flat, 0.3 * before)


@pytest.mark.parametrize("of_gradient", [None, FEW])
@pytest.mark.parametrize("of_total", [None, FEW + 1])
def test_clearing_reaches_everything_that_was_added(of_gradient, of_total):
    own, total, dev = gradient(of_gradient), gradient(of_total), gradient()
    accumulate(own, torch.tensor(0.5), total, dev)
    for each in (own, total):
        each.clear()
        assert not each.flat.any()
        assert each.rows is None


class Words:
    """Objectives over embeddings of ten words and a matrix; some through a tied decoder."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.embedding = Embedding(nn.Parameter(torch.randn(10, 4)))
        self.matrix = nn.Parameter(torch.randn(4, 4))
        self.before = nn.Parameter(torch.randn(3))

    def term(self, words: list[list[int]], *, tied: bool = False) -> Term:
        """Some micro-batches of words."""

        def loss(micro: list[int]) -> Tensor:
            hidden = (self.embedding(torch.tensor(micro)) @ self.matrix).tanh() + self.before.sum()
            if tied:
                hidden = hidden @ self.embedding.weight.T
            return hidden.pow(2).sum()

        return Term([lambda micro=micro: loss(micro) for micro in words], 3)

    def steps(self, tied: tuple[bool, ...], needs: Needs, *, told: bool) -> list[list[Tensor]]:
        """Signals and gradients of three steps that read other words each."""
        lookup = self.embedding if told else None
        parameters = [self.before, self.embedding.weight, self.matrix]
        shared = Shared(parameters, lookup)
        weighting = Meta(MetaOptions(), tuple(map(str, tied)), torch.device("cpu"))
        found = []
        for step in range(3):
            terms = [
                self.term([[step, step + 2 + place], [1]], tied=each)
                for place, each in enumerate(tied)
            ]
            dev = self.term([[step + 3, 9]])
            signals = backward(terms, weighting, shared, dev=dev, needs=needs)
            measured = [signals.losses, signals.norms, signals.dev, signals.dev_norm]
            found.append([*measured, *(p.grad.clone() for p in parameters)])
        return found


@pytest.mark.parametrize("needs", [Needs.DEV, Needs.DEV | Needs.GRADIENTS])
@pytest.mark.parametrize(
    "tied", [(False,), (True,), (False, False), (False, True, False), (True, False)]
)
def test_a_step_that_knows_its_rows_is_the_step_that_does_not(tied, needs):
    told, untold = (Words().steps(tied, needs, told=told) for told in (True, False))
    for one, other in zip(told, untold, strict=True):
        assert_close(one, other)


def test_embeddings_that_are_not_shared_tell_nothing():
    words = Words()
    shared = Shared([words.matrix], words.embedding)
    shared.gradient("total").clear()
    assert shared.seen() is None


def test_rows_that_were_not_read_are_left_out():
    words = Words()
    shared = Shared([words.before, words.embedding.weight, words.matrix], words.embedding)
    weighting = Meta(MetaOptions(), ("0",), torch.device("cpu"))
    backward([words.term([[2, 5]])], weighting, shared, dev=words.term([[7]]))
    total = shared._gradients["total"]
    assert total.rows.tolist() == [2, 5]
    assert total.embeddings().any(1).nonzero().flatten().tolist() == [2, 5]
