"""TorchJD's methods as weightings: its own results, their contract, and what is left out."""

import subprocess
import sys
from dataclasses import fields
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torchjd import aggregation, scalarization

from support.steps import gradients, signals, take
from tartan import ConfigError, Signals, Weighting
from tartan.testing import WeightingContract
from tartan_weightings import torchjd
from tartan_weightings.torchjd import LEFT_OUT, gramian, scalarizers, tartan_weightings

pytestmark = pytest.mark.heavy

OFFERED = tartan_weightings()
GRAMIAN, LOSSES = gramian.offered(), scalarizers.offered()
NAMES = ("task", "a", "b", "c", "d", "e", "f", "g")
STATEFUL = ("dwa", "famo", "gradvac", "nash_mtl", "pcd", "random")


def made(name: str, count: int = 4, **options: Any) -> Weighting:
    cls = OFFERED[f"torchjd_{name}"]
    return cls(cls.Options(**options), NAMES[:count])


@pytest.mark.filterwarnings("ignore:torchjd_.* has no weights for a step:RuntimeWarning")
@pytest.mark.parametrize("rule", [rule.name for rule in WeightingContract.rules()])
@pytest.mark.parametrize("name", OFFERED)
def test_it_keeps_its_contract(name: str, rule: str):
    contract = type("Given", (WeightingContract,), {"weighting": OFFERED[name]})
    getattr(contract(), rule)()


@pytest.mark.parametrize("count", [3, 4, 8])
@pytest.mark.parametrize("name", GRAMIAN)
def test_the_update_is_that_of_torchjds_own_aggregator(name: str, count: int):
    """Over several steps, so that what TorchJD keeps between them is kept here too."""
    weighting = OFFERED[name](OFFERED[name].Options(), NAMES[:count])
    reference = gramian.construct(weighting.method, weighting.Options(), NAMES[:count])
    for step in range(4):
        rows = gradients(count, step, size=40).double()
        with gramian.drawing_from(torch.Generator().manual_seed(step)):
            expected = reference(rows)
        update = take(weighting, signals(rows, seed=step)).double() @ rows
        assert torch.cosine_similarity(update, expected, dim=0) > 0.999, step
        assert update.norm() == pytest.approx(expected.norm().item(), rel=1e-2)


@pytest.mark.parametrize("name", [n for n in LOSSES if n.split("_", 1)[1] not in STATEFUL])
def test_weights_are_the_derivative_of_torchjds_scalarizer(name: str):
    weighting = OFFERED[name](OFFERED[name].Options(), NAMES[:3])
    reference = scalarizers.construct(weighting.method, weighting.Options(), NAMES[:3])
    for step in range(3):
        losses = torch.rand(3, generator=torch.Generator().manual_seed(step)) + 0.1
        weighting.update(Signals(losses, weighting.weights()))
        values = losses.clone().requires_grad_()
        reference(values).backward()
        assert_close(weighting.weights(), values.grad.clamp(min=0))


@pytest.mark.parametrize(("name", "cls"), [("uw", "UW"), ("imtl_l", "IMTLL")])
def test_learned_parameters_minimise_torchjds_value(name: str, cls: str):
    weighting, reference = made(name, 3), getattr(scalarization, cls)(3)
    losses = torch.tensor([2.0, 0.5, 0.1])
    weighting.loss(Signals(losses, torch.ones(3))).backward()
    reference(losses).backward()
    pairs = zip(weighting.parameters(), reference.parameters(), strict=True)
    for one, other in pairs:
        assert one.grad is not None
        assert_close(one.grad, other.grad)


def test_famo_and_dwa_learn_as_torchjds_own_do():
    famo, dwa = made("famo", 3), made("dwa", 3, every=2)
    theirs, average = scalarization.FAMO(3), scalarization.DWA()
    for step in range(10):
        losses = torch.rand(3, generator=torch.Generator().manual_seed(step)) + 0.1
        if step:
            theirs.update(losses)
        values = losses.clone().requires_grad_()
        theirs(values).backward()
        famo.update(Signals(losses, famo.weights()))
        assert_close(famo.weights(), values.grad)
        expected = losses.clone().requires_grad_()
        average(expected).backward()
        assert_close(dwa.weights(), expected.grad)
        dwa.update(Signals(losses, dwa.weights()))
        if step % 2:
            average.step()


def test_a_batch_without_items_takes_no_weight_in_famo():
    """Its loss is 0; a loss that small would take all of the weight."""
    weighting, values = made("famo", 3), torch.tensor([1.0, 2.0, 4.0])
    weighting.update(Signals(values, weighting.weights()))
    before = weighting.weights()
    weighting.update(Signals(values * torch.tensor([1.0, 0.0, 1.0]), before))
    assert_close(weighting.weights(), before, rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", STATEFUL)
def test_what_it_keeps_between_steps_is_in_its_state(name: str):
    """A weighting that has not loaded the state goes on differently: there is state to lose."""
    options = {"every": 2} if name == "dwa" else {}
    one, other = made(name, **options), made(name, **options)

    def step(weighting: Weighting, number: int) -> Tensor:
        rng = torch.Generator().manual_seed(number)
        losses = torch.rand(4, generator=rng) + 0.1
        measured = signals(gradients(4, number) * (1 + 100 * (number % 2)), losses, seed=number)
        return take(weighting, measured)

    for number in range(5):
        step(one, number)
    assert not torch.equal(step(one, 5), step(other, 5))


def test_all_that_torchjd_has_is_offered_or_left_out_with_a_reason():
    abstract = {"Aggregator", "GramianWeightedAggregator", "WeightedAggregator", "Weighting"}
    ours = {*gramian.METHODS, *LEFT_OUT, *abstract}
    rest = [
        n for n in aggregation.__all__ if n not in ours and n.removesuffix("Weighting") not in ours
    ]
    assert rest == []
    assert set(scalarization.__all__) - {*scalarizers.METHODS} == {"Scalarizer"}
    assert len(OFFERED) == 25


def test_options_are_the_constructors_parameters():
    def names(name: str) -> list[str]:
        return [field.name for field in fields(OFFERED[f"torchjd_{name}"].Options)]

    assert names("cagrad") == ["c", "norm_eps"]
    assert names("upgrad") == ["pref_vector"]
    assert names("nash_mtl") == ["max_norm", "optim_niter"]
    assert names("pbi") == ["theta", "weights", "reference"]


def test_a_vector_is_given_by_the_objectives_names():
    rows = torch.eye(2)
    weighting = made("upgrad", 2, pref_vector={"a": 3.0, "task": 1.0})
    assert_close(weighting.combine(signals(rows)), torch.tensor([1.0, 3.0]))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cagrad", {"c": -1.0}, r"^weighting: c must be non-negative, but got -1\.0\.$"),
        ("cagrad", {"c": float("nan")}, r"^weighting\.c is nan: give a finite number$"),
        ("aligned_mtl", {"scale_mode": "mn"}, r"^weighting\.scale_mode=mn: did you mean"),
        ("upgrad", {"pref_vector": {"tsk": 1.0}}, r"^weighting\.pref_vector\.tsk: no such"),
        ("upgrad", {"pref_vector": {"a": 1.0}}, r"^weighting\.pref_vector\.task is missing: give"),
        ("dwa", {"every": 0}, r"^weighting\.every must be at least 1, got 0\.$"),
        ("uw", {"lr": -1.0}, r"^weighting\.lr must be at least 0 and finite, got -1\.0\.$"),
    ],
)
def test_options_that_torchjd_cannot_use_are_refused(name: str, options: Any, message: str):
    with pytest.raises(ConfigError, match=message):
        made(name, **options)


def test_krum_needs_three_objectives():
    with pytest.raises(ConfigError, match=r"^torchjd_krum weighs at least 3 objectives, found 2$"):
        made("krum", 2)


def test_a_package_that_torchjd_lacks_is_named_with_what_installs_it():
    missing = mock.patch("torchjd._mixins.find_spec", return_value=None)
    with missing, pytest.raises(ConfigError, match=r"cvxpy.*pip install 'tartan\[torchjd\]'$"):
        made("cagrad")


def test_a_step_without_weights_gets_the_last_ones_and_says_so(monkeypatch: pytest.MonkeyPatch):
    weighting = made("nash_mtl", 2)
    given = signals(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    last = take(weighting, given)
    monkeypatch.setattr(weighting._engine, "weigh", lambda gramian: gramian[0] * torch.nan)
    with pytest.warns(RuntimeWarning, match="torchjd_nash_mtl has no weights for a step"):
        assert take(weighting, given).tolist() == last.tolist()


def test_a_step_that_is_not_taken_keeps_the_weights_in_silence(recwarn: pytest.WarningsRecorder):
    weighting = made("nash_mtl", 2)
    last = take(weighting, signals(torch.tensor([[2.0, 0.0], [0.0, 1.0]])))
    assert take(weighting, signals(torch.full((2, 2), torch.nan))).tolist() == last.tolist()
    assert not recwarn.list


def test_without_torchjd_there_are_none():
    with mock.patch.object(torchjd, "find_spec", return_value=None):
        assert torchjd.tartan_missing() == {"torchjd_": "pip install 'tartan[torchjd]'"}
        assert tartan_weightings() == {}


def test_importing_tartan_does_not_import_torchjd():
    program = "import sys, tartan, tartan_weightings.torchjd; assert 'torchjd' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
