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
    stage = experiment.stages["joint"]
    stages = {
        f"stage {number}": replace(stage, objectives=selection, steps=3)
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
