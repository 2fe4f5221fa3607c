"""The contract of every objective, and tests of this one."""

import torch
from tartan_transposed import swapped

from tartan.testing import ObjectiveContract


class TestTransposed(ObjectiveContract):
    """The contract."""

    plugin = "transposed"


def test_neighbours_change_places_and_the_ends_stay() -> None:
    order = swapped(1000, 0.5, torch.Generator().manual_seed(0))
    places = torch.arange(1000)
    assert sorted(order.tolist()) == places.tolist()
    assert (order - places).abs().max() == 1
    assert order[0] == 0
    assert order[-1] == 999
    assert (order != places).float().mean() > 0.4
