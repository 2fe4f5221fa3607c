"""What a stage of a schedule starts from."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from support.command import SMALL
from support.experiments import built
from tartan.train.checkpoint import Checkpoints
from tartan.train.interrupt import Interrupts
from tartan.train.stage import Stage
from tartan.train.trainer import Trainer

pytestmark = pytest.mark.heavy


class Silent:
    """An observer that does nothing."""

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_, **__: None


def taken(*overrides: str, after: dict[str, Any] | None = None) -> Stage:
    """A stage after three steps, or one that continues another's state by one step."""
    experiment = built(*SMALL, "objectives=[mlm]", *overrides)
    stage = Stage(experiment.setup, experiment.stages["joint"])
    if after is not None:
        stage.load_state_dict(after)
    for step in range(3) if after is None else (3,):
        stage.take(step)
    return stage


def rates(stage: Stage) -> list[tuple[float, ...]]:
    groups = stage._optimiser._adamw.param_groups
    return [(g["lr"], g["weight_decay"], *g["betas"], g["eps"]) for g in groups]


def test_the_end_tasks_batches_are_the_same_whatever_came_before(monkeypatch: pytest.MonkeyPatch):
    """Their rows, and the random choices of collating them."""
    setup = built(*SMALL, "objectives=[]", "accumulate=2").setup
    task, options = setup.model.end_task, built(*SMALL, "objectives=[]").stages["joint"]
    collate, found = task.collate, []

    def spy(rows: Any, rng: torch.Generator) -> Any:
        found.append(([row["input_ids"] for row in rows], torch.rand(1, generator=rng).item()))
        return collate(rows, rng)

    monkeypatch.setattr(task, "collate", spy)
    Stage(setup, options).step._make_batches(0)
    alone = found.copy()
    found.clear()
    Stage(setup, options, steps_without_primary=3, first=3).step._make_batches(3)
    assert found == alone
    assert len(found) == 2


def test_a_resumed_stage_has_the_options_that_it_is_given():
    """Rates follow the schedule from the new peak on; the moments are those that were saved."""
    changed = ("optimizer.body_lr=1e-6", "optimizer.body_weight_decay=0.5", "optimizer.beta1=0.5")
    state = taken().state_dict()
    alike, other = taken(after=state), taken(*changed, after=state)
    found, expected = rates(other), rates(alike)
    assert found[0][0] == pytest.approx(expected[0][0] * 1e-6 / 3e-3)
    assert [one[1:3] for one in found[:2]] == [(0.5, 0.5), (0.0, 0.5)]
    assert [one[0] for one in found[2:]] == [one[0] for one in expected[2:]]


def starts(place: Path, monkeypatch: pytest.MonkeyPatch, *selections: str) -> dict[str, Tensor]:
    """The body's weights before the first step of each stage, and those that a run ends with."""
    experiment = built(*SMALL, "objectives=[mlm]")
    body, found = experiment.setup.model.body, {}

    def weights() -> Tensor:
        return torch.cat([p.detach().flatten() for p in body.parameters()]).clone()

    def begin(self: Stage, *args: Any, **options: Any) -> None:
        found[f"stage {len(found)}"] = weights()
        original(self, *args, **options)

    original = Stage.__init__
    monkeypatch.setattr(Stage, "__init__", begin)
    names = experiment.setup.model.names
    trained = {"primary": names[:1], "auxiliary": names[1:]}
    stages = {
        f"stage {number}": replace(
            experiment.stages["joint"],
            names=trained[selection],
            trains_primary=selection == "primary",
            selection=selection,
            steps=3,
        )
        for number, selection in enumerate(selections)
    }
    saved = Checkpoints(place, 9)
    with Interrupts() as interrupts:
        Trainer(
            experiment.setup, stages, experiment.milestones, saved, Silent(), interrupts
        ).train()
    saved.load_best(experiment.setup.model)
    best = weights()
    for name in ("checkpoint-3", "checkpoint-6"):
        saved.load(place / name, experiment.setup.model)
        found[name] = weights()
    return {**found, "best": best}


def test_what_a_stage_without_the_end_task_learned_is_kept(tmp_path, monkeypatch):
    found = starts(tmp_path, monkeypatch, "primary", "auxiliary", "primary")
    assert torch.equal(found["stage 1"], found["checkpoint-3"])
    assert torch.equal(found["stage 2"], found["checkpoint-6"])
    assert not torch.equal(found["stage 2"], found["stage 1"])


def test_after_a_last_stage_without_the_end_task_the_best_model_is_exported(tmp_path, monkeypatch):
    found = starts(tmp_path, monkeypatch, "primary", "auxiliary")
    assert torch.equal(found["checkpoint-6"], found["best"])
