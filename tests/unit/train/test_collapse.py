"""The end task's weight collapses: reported once, kept in the summary."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from support.command import SMALL
from support.experiments import built
from tartan import Needs, Signals, Weighting
from tartan.plugins import Plugin, Plugins, discover
from tartan.train.checkpoint import Checkpoints
from tartan.train.collapse import collapsed_share
from tartan.train.interrupt import Interrupts
from tartan.train.progress import Progress
from tartan.train.trainer import Trainer
from tartan_weightings.auxinash import AuxiNash, AuxiNashOptions
from tartan_weightings.meta import Meta, MetaOptions
from tartan_weightings.metabalance import MetaBalance, MetaBalanceOptions
from tartan_weightings.static import Static, StaticOptions

NAMES = ("task", "mlm")
LEARNED = Meta(MetaOptions(), NAMES)


def means(*weights: float) -> dict[str, float]:
    return {f"train/weight/{name}": w for name, w in zip(NAMES, weights, strict=True)}


@pytest.mark.parametrize(
    ("weights", "share"),
    [((0.05, 0.95), None), ((0.04, 0.96), 0.04), ((4.0, 96.0), 0.04), ((0.0, 0.0), 0.0),
     ((0.9, 0.1), None)],
)  # fmt: skip
def test_a_share_below_a_tenth_of_an_equal_share_is_a_collapse(
    weights: tuple[float, float], share: float | None
):
    assert collapsed_share(LEARNED, NAMES, "task", means(*weights)) == pytest.approx(share)


@pytest.mark.parametrize(
    ("weighting", "names", "primary"),
    [
        (Static(StaticOptions({"task": 0.01, "mlm": 1.0}), NAMES), NAMES, "task"),
        (LEARNED, ("mlm",), "task"),
        (AuxiNash(AuxiNashOptions(), NAMES), NAMES, "task"),
        (MetaBalance(MetaBalanceOptions(), NAMES), NAMES, "task"),
    ],
)
def test_weights_that_are_not_learned_shares_and_stages_without_the_end_task_do_not_count(
    weighting: Weighting, names: tuple[str, ...], primary: str
):
    assert collapsed_share(weighting, names, primary, means(0.01, 1.0)) is None


@dataclass
class SinkingOptions:
    by: float = 0.2


class Sinking(Weighting):
    """Multiplies the end task's weight by a constant after each step."""

    Options = SinkingOptions
    needs = Needs.LOSSES
    share_lr = "by"
    counts: Tensor

    def __init__(self, options: SinkingOptions, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        self._by = options.by
        self.register_buffer("counts", torch.ones(len(objectives)))

    def weights(self) -> Tensor:
        return self.counts

    def update(self, signals: Signals) -> None:
        self.counts[0] *= self._by


class Listener:
    """Keeps the notices of a run."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def begin(self, records: Any) -> None: ...
    def stage(self, *described: Any) -> None: ...
    def step(self) -> None: ...
    def record(self, record: Any) -> None: ...
    def notice(self, text: str) -> None:
        self.notices.append(text)


def train(directory: Path, resume: bool) -> tuple[Progress, list[str]]:
    """Train through `joint` alone; with `resume`, from the newest checkpoint before its end."""
    found = discover()
    sinking = Plugin("sinking", Sinking, "tests")
    plugins = Plugins(found.objectives.values(), [*found.weightings.values(), sinking], [])
    chosen = [*SMALL, "objectives=[mlm]", "weighting=sinking", "checkpoint.every=5"]
    experiment = built(*chosen, plugins=plugins)
    listener, checkpoints = Listener(), Checkpoints(directory, 5)
    stages = {"joint": experiment.stages["joint"]}
    with Interrupts() as interrupts:
        trainer = Trainer(
            experiment.setup, stages, experiment.milestones, checkpoints, listener, interrupts
        )
        if resume:
            trainer.resume(directory / "checkpoint-5")
        return trainer.train(), listener.notices


def test_a_collapse_is_reported_once_and_kept_whether_or_not_the_run_is_resumed(tmp_path: Path):
    """The second line of metrics holds the third step alone, whose weights are 0.04 and 1."""
    progress, notices = train(tmp_path, resume=False)
    assert notices == [
        "The weight of classification, the end task, is 3.85% of all at step 3, less than 0.1 of "
        "an equal share (1/2). Training continues; lower weighting.by if the weights move too fast."
    ]
    assert progress.collapsed == {"joint": 3}
    resumed, again = train(tmp_path, resume=True)
    assert again == []
    assert resumed.collapsed == {"joint": 3}
