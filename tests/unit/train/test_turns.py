"""A weighting may choose the objectives of a step; the others cost nothing and wait their turn."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from support import experiments
from support.command import SMALL
from tartan import Needs, PluginError, Weighting
from tartan.experiment.build import Experiment
from tartan.train.stage import Stage
from tartan.train.turns import Turns

pytestmark = pytest.mark.heavy


@dataclass
class Options:
    turns: list[list[int]] = field(default_factory=list)


class InTurn(Weighting):
    """Computes the objectives at the given indices, step by step, and then again."""

    Options = Options
    needs = Needs.LOSSES

    def __init__(self, options: Options, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        self.turns = options.turns
        self.register_buffer("shares", torch.full((len(objectives),), 1 / len(objectives)))

    def active(self, step: int, rng: torch.Generator) -> Sequence[int] | None:
        return self.turns[step % len(self.turns)]

    def chances(self) -> Tensor:
        counts = [sum(i in turn for turn in self.turns) for i in range(len(self.shares))]
        return torch.tensor(counts) / len(self.turns)

    def weights(self) -> Tensor:
        return self.shares


class Dev(InTurn):
    needs = Needs.LOSSES | Needs.DEV


class Gramian(InTurn):
    needs = Needs.LOSSES | Needs.GRADIENTS


def built(*overrides: str) -> Experiment:
    return experiments.built(*SMALL, "objectives=[mlm,rtd]", "accumulate=2", *overrides)


def stage(turns: list[list[int]], cls: type[InTurn] = InTurn, *overrides: str) -> Stage:
    experiment = built(*overrides)

    def make(_: Any, names: tuple[str, ...]) -> Weighting:
        return cls(Options(turns), names)

    return Stage(replace(experiment.setup, make_weighting=make), experiment.stages["joint"])


def read(monkeypatch: pytest.MonkeyPatch, turns: list[list[int]], steps: int) -> dict[str, list]:
    """The examples that each objective collates in each of its batches."""
    made = stage(turns)
    found: dict[str, list[list[list[int]]]] = {name: [] for name in made.names}
    for name in made.names:
        objective = made._setup.model.objective(name)
        collate = objective.collate

        def watched(rows, rng, name=name, collate=collate):  # type: ignore[no-untyped-def]
            batch = collate(rows, rng)
            found[name].append([*batch.inputs.input_ids.tolist(), -1])
            return batch

        monkeypatch.setattr(objective, "collate", watched)
    for step in range(steps):
        made.take(step)
        made.step.turns.count(step)
    return found


def test_an_objective_reads_its_own_batches_in_order_whatever_steps_compute_it(
    monkeypatch: pytest.MonkeyPatch,
):
    always = read(monkeypatch, [[0, 1, 2]], 3)
    in_turn = read(monkeypatch, [[0, 1], [0], [0, 2]], 6)
    assert in_turn["classification"][:6] == always["classification"]
    assert len(in_turn["classification"]) == 12
    assert in_turn["mlm"] == always["mlm"][:4]
    assert in_turn["rtd"] == always["rtd"][:4]


@pytest.mark.parametrize("cls", [InTurn, Dev, Gramian])
def test_what_is_not_computed_has_no_gradient_and_signals_of_0(cls: type[InTurn]):
    made = stage([[0, 1, 2], [0, 2]], cls)
    heads = {name: made._setup.model.private(name) for name in made.names}
    made.take(0)
    made.step.turns.count(0)
    before = [p.clone() for p in heads["mlm"]]
    signals, metrics = made.step(1)
    assert signals.active is not None
    assert signals.active.tolist() == [True, False, True]
    assert all(p.grad is None for p in heads["mlm"])
    assert all(torch.equal(p, old) for p, old in zip(heads["mlm"], before, strict=True))
    assert any(p.grad is not None for p in heads["rtd"])
    measured = [signals.losses, signals.weights, signals.norms, signals.dev]
    for values in measured:
        if values is not None:
            assert values[1] == 0
            assert values[2] != 0
    if signals.gramian is not None:
        assert signals.gramian[1].count_nonzero() == 0
        assert signals.gramian[:, 1].count_nonzero() == 0
        assert (signals.gramian.diagonal()[[0, 2]] > 0).all()
    assert not any(name.endswith("/mlm") for name in metrics)


def test_a_step_without_a_choice_computes_all():
    made = stage([[0], [0, 1, 2]])
    made.weighting.turns = [[0], None]  # type: ignore[assignment]
    for step in range(2):
        made.take(step)
        made.step.turns.count(step)
    means = made.window.means()
    assert [means[f"train/active/{name}"] for name in made.names] == [1, 0.5, 0.5]


@pytest.mark.parametrize("cls", [InTurn, Dev, Gramian])
def test_the_update_is_that_of_a_run_without_the_others(cls: type[InTurn]):
    made = stage([[0, 2]], cls, "model.dropout=0")
    made.step.measure(0)
    gradients = [p.grad.clone() for p in made._setup.model.shared() if p.grad is not None]
    alone = stage([[0, 1]], cls, "model.dropout=0", "objectives=[rtd]")
    alone.weighting.shares.fill_(1 / 3)  # type: ignore[union-attr, operator]
    alone.step.measure(0)
    expected = [p.grad for p in alone._setup.model.shared() if p.grad is not None]
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_a_line_has_how_often_each_was_computed_and_the_means_of_these_steps():
    made = stage([[0, 1], [0, 2], [0, 2], [0]])
    losses = []
    for step in range(4):
        made.take(step)
        losses.append(made.window.state_dict()["sums"]["train/loss/rtd"].item() if step else 0.0)  # type: ignore[index]
        made.step.turns.count(step)
    means = made.window.means()
    assert [means[f"train/active/{name}"] for name in made.names] == [1, 0.25, 0.5]
    assert means["train/loss/rtd"] == pytest.approx(losses[-1] / 2)
    assert means["train/weight/rtd"] == pytest.approx(0.5 / 3)


@pytest.mark.parametrize(
    ("cls", "forwards", "backwards", "copies"),
    # A joint pass, twice; with gradients apart: 1 + 1/4 + 2/4 passes, twice.
    [(InTurn, 2, 2, 1), (Gramian, 3.5, 3.5, 3), (Dev, 5.5, 4.5, 3)],
)
def test_the_cost_is_the_expected_one(
    cls: type[InTurn], forwards: float, backwards: float, copies: int
):
    cost = stage([[0, 1], [0, 2], [0, 2], [0]], cls).cost
    assert cost.expected
    assert (cost.forwards, cost.backwards) == (forwards, backwards)
    assert cost.copies == copies


@pytest.mark.parametrize("indices", [[], [1], [0, 0], [1, 0], [0, 3], [0, -1]])
def test_a_choice_that_is_not_valid_is_refused(indices: list[int]):
    names = ("task", "mlm", "rtd")
    turns = Turns(names, InTurn(Options([indices]), names), 0, {})
    with pytest.raises(PluginError, match=r"InTurn\.active\(7\) returned .* from 0 to 2"):
        turns.indices(7)
