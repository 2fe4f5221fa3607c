"""Sides are timed only where they compute the same."""

import re

import pytest
import torch

from benchmarks.agreement import Agreement
from benchmarks.sides import Measured, Probed

GRADIENT = {"a": torch.randn(4, 3, generator=torch.manual_seed(0)), "b": torch.ones(5)}


def probed(*alignment):
    rows = torch.arange(2)
    return Probed({"0.weight": torch.ones(2, 2)}, rows, rows + 2, torch.tensor(alignment))


def test_the_same_agrees():
    found = Agreement.of(Measured(GRADIENT), Measured(GRADIENT))
    assert found.cosine == pytest.approx(1)
    assert found.norm == pytest.approx(1)
    assert found.objection is None


def test_rounding_agrees():
    noise = torch.manual_seed(1)
    rounded = {
        name: value + 1e-3 * torch.randn(value.shape, generator=noise)
        for name, value in GRADIENT.items()
    }
    assert Agreement.of(Measured(rounded), Measured(GRADIENT)).objection is None


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            {**GRADIENT, "b": -GRADIENT["b"]},
            r"another gradient \(cosine -?0\.\d{4}, at least 0.999",
        ),
        ({"a": GRADIENT["a"]}, r"another gradient \(cosine 0.0000"),
        ({**GRADIENT, "b": torch.full((5,), torch.nan)}, r"another gradient \(cosine nan"),
        ({name: 2 * value for name, value in GRADIENT.items()}, "a gradient 2.000 times as long"),
    ],
)
def test_another_gradient_is_objected_to(other, said):
    objection = Agreement.of(Measured(other), Measured(GRADIENT)).objection
    assert objection is not None
    assert re.match(said, objection), objection


def test_another_dev_gradient_is_objected_to():
    one, other = Measured(GRADIENT, probed(0.3, -0.1)), Measured(GRADIENT, probed(0.3, -0.2))
    objection = Agreement.of(one, other).objection
    assert objection == "cosines with the dev gradient that differ by 0.100"


def test_it_travels_as_safetensors(tmp_path):
    file = tmp_path / "measured.safetensors"
    measured = Measured(GRADIENT, probed(0.3, -0.1))
    measured.save(file)
    found = Measured.load(file)
    assert found.gradient.keys() == GRADIENT.keys()
    assert all(torch.equal(found.gradient[name], value) for name, value in GRADIENT.items())
    assert torch.equal(found.probed.alignment, measured.probed.alignment)
    assert torch.equal(found.probed.probe["0.weight"], torch.ones(2, 2))
    Measured(GRADIENT).save(file)
    assert Measured.load(file).probed is None
