"""Distinct rows are taken as index_select takes them, with a gradient that copies."""

import torch

from tartan.gather import take


def test_rows_and_gradients_are_those_of_index_select():
    values = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    indices = torch.tensor([4, 0, 2])
    assert torch.equal(take(values, indices), values.index_select(0, indices))
    assert torch.autograd.gradcheck(lambda x: take(x, indices).sin(), values)
    assert torch.autograd.gradgradcheck(lambda x: take(x, indices).sin(), values)


def test_the_gradient_is_not_a_sum():
    values = torch.ones(3, requires_grad=True)
    taken = take(values, torch.tensor([1, 2]))
    assert "IndexAdd" not in str(taken.grad_fn)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
        taken.sum().backward()
    names = {event.name for event in profiled.events()}
    assert "aten::index_copy_" in names  # in place: what is copied twice takes 20 times as long
    assert not names & {"aten::index_add_", "aten::index_add", "aten::index_put_"}
