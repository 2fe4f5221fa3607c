"""Without a GPU, the rule about devices is tested on the fake one."""

import pytest

from support.breakers import ComputesOnTheHost, Faithful
from tartan.testing import ObjectiveContract, fake_cuda
from tartan.testing.contract import Broken, NotApplicable
from tartan.testing.fake_cuda.build import why_not
from tartan.testing.fake_cuda.shared import _device

RULE = "test_it_computes_where_the_body_is"
NEEDS_ONE = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def examine(cls: type[Faithful]) -> None:
    contract = type("TestIt", (ObjectiveContract,), {"objective": cls})
    getattr(contract(), RULE)()


@NEEDS_ONE
def test_an_objective_that_follows_the_body_is_kept():
    examine(Faithful)


@NEEDS_ONE
def test_an_objective_that_mixes_devices_is_broken():
    with pytest.raises(Broken, match="on cuda: Expected all tensors to be on the same device"):
        examine(ComputesOnTheHost)


def test_without_a_compiler_the_rule_says_why_it_does_not_apply(monkeypatch: pytest.MonkeyPatch):
    # Without the cache: the device that tests before have started stays.
    monkeypatch.setattr(fake_cuda.shared, "_device", _device.__wrapped__)
    monkeypatch.setattr(fake_cuda.build, "why_not", lambda: "there is no C++ compiler")
    with pytest.raises(NotApplicable, match="none can be simulated: there is no C"):
        examine(Faithful)
