"""A run killed at each kind of moment goes on, and ends as if nothing had happened."""

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from support.command import Answer, summary
from support.process import KILL, at_call, forked
from support.runs import GRADUAL, differences, newest, resuming, write_gradual

Tartan = Callable[..., Answer]
COMMON = [*GRADUAL, "steps=20", "eval.every=3", "checkpoint.every=5"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    here = tmp_path_factory.mktemp("whole")
    data = write_gradual(here / "data")
    assert forked(["run", f"run_dir={here}/run", f"data.dir={data}", *COMMON]) == 0
    return here / "run"


ALL = -1
MOMENTS = {
    "in the middle of a step": ("train.optimiser:Optimiser.step", 8, False, 5),
    "in the middle of a later stage": ("train.stage:Stage.take", 24, True, 20),
    "while writing a checkpoint": ("train.checkpoint:torch.save", 2, True, 5),
    "while writing best": ("train.checkpoint:seal", 1, False, 0),
    "after writing best": ("train.trainer:Checkpoints.save_best", 2, True, 20),
    "between stages": ("train.checkpoint:Checkpoints.load_best", 1, True, 15),
    "after a stage": ("train.trainer:Trainer._end", 1, True, 20),
    "after training": ("train.trainer:Trainer._end", 2, True, ALL),
    "after test was read": ("experiment.finish:export", 1, False, ALL),
    "while exporting": ("body.export:write_whole", 1, False, ALL),
    "before the summary": ("experiment.finish:write_json", 1, False, ALL),
}
"""A function of tartan's, at which call of it a run is killed, whether after the call, and the step
from which it resumes."""


@pytest.mark.parametrize("when", MOMENTS)
def test_a_killed_run_ends_as_an_undisturbed_one(
    whole: Path, tartan: Tartan, tmp_path: Path, when: str
):
    target, call, after, saved = MOMENTS[when]
    write_gradual(tmp_path / "data")
    command = ["run", "run_dir=cut", "data.dir=data", *COMMON]
    killed = forked(command, partial(at_call, f"tartan.{target}", call, KILL, after))
    assert killed == -signal.SIGKILL
    assert not (tmp_path / "cut/summary.json").exists()
    assert newest(tmp_path / "cut") == (summary(whole)["steps"] if saved == ALL else saved)
    with resuming(tmp_path / "cut"):
        answer = tartan(*command)
        assert answer.status == 0, answer.err
    assert differences(whole, tmp_path / "cut") == []
    hidden = [path.name for path in (tmp_path / "cut").rglob(".*") if path.name != ".hydra"]
    assert hidden == []
