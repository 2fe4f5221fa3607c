"""Each rule catches a plugin that breaks it, and no rule blames a plugin that keeps it."""

import pytest
import torch

from support.breakers import OBJECTIVES, Faithful
from support.weighting_breakers import WEIGHTINGS, Learning, MeetsAnotherDevice, Sampling
from tartan import Objective, Signals, Weighting
from tartan.testing import Contract, ObjectiveContract, WeightingContract
from tartan.testing.examine import Outcome, examine
from tartan.testing.objective_contract import accelerator
from tartan.testing.remedies import REMEDIES


@pytest.fixture(autouse=True)
def _somewhere_to_move_to(monkeypatch: pytest.MonkeyPatch):
    """Where there is no accelerator, the CPU stands in for one: plugins are moved all the same."""
    device = accelerator() or torch.device("cpu")
    monkeypatch.setattr("tartan.testing.objective_contract.accelerator", lambda: device)


def broken(contract: type[Contract]) -> dict[str, str]:
    """The rules that a plugin breaks, and what is said of it."""
    return {
        verdict.rule.name.removeprefix("test_"): verdict.found
        for verdict in examine(contract)
        if verdict.outcome is Outcome.BROKEN
    }


def of_objective(cls: type[Objective]) -> type[Contract]:
    options = {"share": 0.5}
    return type("TestIt", (ObjectiveContract,), {"objective": cls, "options": options})


def of_weighting(cls: type[Weighting]) -> type[Contract]:
    return type("TestIt", (WeightingContract,), {"weighting": cls, "options": {"share": 0.5}})


@pytest.mark.parametrize(
    ("contract", "breakers"), [(ObjectiveContract, OBJECTIVES), (WeightingContract, WEIGHTINGS)]
)
def test_every_rule_has_a_plugin_that_breaks_it(contract: type[Contract], breakers: dict):
    assert [rule.name for rule in contract.rules()] == [f"test_{name}" for name in breakers]


def test_every_rule_has_a_remedy_and_every_remedy_a_rule():
    rules = [*ObjectiveContract.rules(), *WeightingContract.rules()]
    assert {rule.name for rule in rules} == REMEDIES.keys()
    assert all(rule.remedy for rule in rules)


@pytest.mark.parametrize(
    "contract", [of_objective(Faithful), of_weighting(Learning), of_weighting(Sampling)]
)
def test_a_plugin_that_keeps_every_rule_is_blamed_for_none(contract: type[Contract]):
    assert broken(contract) == {}


@pytest.mark.parametrize("rule", OBJECTIVES)
def test_an_objective_that_breaks_one_rule_breaks_just_that(rule: str):
    cls, said = OBJECTIVES[rule]
    found = broken(of_objective(cls))
    assert list(found) == [rule]
    assert said in found[rule]


@pytest.mark.parametrize("rule", WEIGHTINGS)
def test_a_weighting_that_breaks_one_rule_breaks_just_that(rule: str):
    cls, said = WEIGHTINGS[rule]
    found = broken(of_weighting(cls))
    assert list(found) == [rule]
    assert said in found[rule]


def test_a_weighting_that_computes_on_two_devices_is_found_without_a_second_one():
    (found,) = broken(of_weighting(MeetsAnotherDevice)).items()
    assert found[0] == "its_state_moves_with_it"
    assert found[1].startswith("moved to another device, its step fails there: Tensor on device")


class Combines(Learning):
    """Nothing has the weights used that it computes for a step."""

    def combine(self, signals: Signals) -> torch.Tensor:
        return signals.losses.softmax(0)


def test_a_weighting_whose_combine_is_never_called_is_broken():
    (found,) = broken(of_weighting(Combines)).items()
    assert found[0] == "declared_needs_are_enough"
    assert found[1].startswith("`combine` is never called: add Needs.GRADIENTS")


def test_a_class_leaves_a_rule_out_by_setting_it_to_none():
    class Auxiliary(ObjectiveContract):
        test_an_end_tasks_head_can_be_exported = None  # type: ignore[assignment]

    left = {rule.name for rule in ObjectiveContract.rules()} - {r.name for r in Auxiliary.rules()}
    assert left == {"test_an_end_tasks_head_can_be_exported"}
