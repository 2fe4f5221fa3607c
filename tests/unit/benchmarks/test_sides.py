"""Who takes part, and with what."""

import pytest
import torch

from benchmarks.experiment import without_dropout
from benchmarks.gpu.wheels import pinned, pins
from benchmarks.scale import BASE, GRID, points
from benchmarks.sides import GROUPS, SIDES, members
from benchmarks.tables import GROWING
from tartan.errors import ConfigError
from tartan.packed import Packed
from tartan.testing import FAMILIES, tiny_source

DROPPING = {"modernbert": {"mlp_dropout": 0.5}, "albert": {"hidden_dropout_prob": 0.5}}
"""Options of the families that drop nothing by themselves."""


@pytest.fixture
def packed():
    return Packed(torch.arange(5, 25), (8, 12))


def test_every_side_is_in_a_group_and_every_reference_beside_it():
    assert {name for group in GROUPS for name in members(group)} == set(SIDES)
    for group in GROUPS:
        names = members(group)
        assert {SIDES[name].reference for name in names} - {None} <= set(names)


def test_a_side_can_be_left_out():
    assert "plain-meta" not in members("joint", ["plain-meta"])


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ("plain-mta", "--leave-out plain-mta: did you mean 'plain-meta'?"),
        ("tartan-meta", "--leave-out tartan-meta: tartan-static is compared with it; leave that"),
    ],
)
def test_what_cannot_be_left_out_is_said(left_out, said):
    with pytest.raises(ConfigError) as caught:
        members("joint", [left_out])
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_dropout_a_training_body_repeats_itself(family, packed):
    body = tiny_source(family, **DROPPING.get(family, {})).body().train()
    assert not torch.equal(body(packed), body(packed))
    with without_dropout(body):
        assert torch.equal(body(packed), body(packed))
    assert not torch.equal(body(packed), body(packed))


def test_a_grid_changes_one_thing_at_a_time():
    assert tuple(GRID) == GROWING
    found = list(points(BASE, GRID))
    assert [(point.axis, point.value) for point in found] == [
        (axis, value) for axis, values in GRID.items() for value in values
    ]
    for point in found:
        assert getattr(point.setting, point.axis) == point.value
        same = [axis for axis in GRID if axis != point.axis]
        assert all(getattr(point.setting, axis) == getattr(BASE, axis) for axis in same)
        assert point.setting.words == point.setting.length - 2


def test_wheels_are_those_of_the_constraints(tmp_path):
    file = tmp_path / "constraints.txt"
    file.write_text("# a comment\nMarkupSafe==3.0.4\ntyping_extensions==4.16.0\n")
    assert pinned(["markupsafe", "typing-extensions"], pins(file)) == [
        "markupsafe==3.0.4",
        "typing-extensions==4.16.0",
    ]
    with pytest.raises(ConfigError, match=r"markup is not in constraints.txt: did you mean"):
        pinned(["markup"], pins(file))
