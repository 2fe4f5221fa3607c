"""Cross-entropy and its gradient are torch's, whatever the dtype and however rows are cut."""

import pytest
import torch
from torch.nn import functional

from tartan.cross_entropy import ROWS, cross_entropy


@pytest.mark.parametrize("items", [0, 1, ROWS, 2 * ROWS + 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_torchs_in_float32(items: int, dtype: torch.dtype):
    torch.manual_seed(0)
    logits = (20 * torch.randn(items, 50)).to(dtype).requires_grad_()
    tokens = torch.randint(50, (items,))
    expected = functional.cross_entropy(logits.float(), tokens, reduction="sum")
    (wanted,) = torch.autograd.grad(expected / 7, logits)
    found, right = cross_entropy(logits, tokens)
    (gradient,) = torch.autograd.grad(found / 7, logits)
    torch.testing.assert_close(found, expected)
    tolerance = {"atol": 2e-3, "rtol": 1e-2} if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(gradient, wanted, **tolerance)
    assert not right.requires_grad
    rounded = logits.gather(1, tokens[:, None]) >= logits.amax(1, keepdim=True)
    assert right == rounded.sum()


def test_its_gradient_is_the_numerical_one():
    logits = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    tokens = torch.tensor([0, 5, 2, 2, 1])
    # The loss is float32, so that differences are coarse.
    assert torch.autograd.gradcheck(
        lambda x: cross_entropy(x, tokens)[0].double(), logits, eps=1e-2, atol=1e-2, rtol=1e-2
    )


def test_what_is_not_finite_shows():
    logits = torch.zeros(3, 4)
    logits[1, 2] = torch.nan
    assert cross_entropy(logits, torch.tensor([0, 1, 2]))[0].isnan()


def test_no_gradient_is_made_where_none_is_asked_for():
    loss, _ = cross_entropy(torch.zeros(2, 4), torch.tensor([0, 1]))
    assert loss.grad_fn is None
