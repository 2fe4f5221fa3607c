"""Arms are built before any run starts: what would fail late is refused, what they share found."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from support.command import SMALL
from tartan.config.composer import composing
from tartan.config.store import register
from tartan.errors import ConfigError
from tartan.plugins import discover
from tartan.study.job import Arm, Job
from tartan.study.worker import BuiltArm, try_arms

pytestmark = pytest.mark.heavy


@pytest.fixture(autouse=True, scope="module")
def _registered():
    register(discover())


def tried(anywhere: bool = False, **arms: tuple[str, ...]) -> Mapping[str, BuiltArm]:
    """The results of building arms with these overrides."""
    with composing():
        texts = {
            name: OmegaConf.to_yaml(
                Job(Arm(name, name, (), (*SMALL, *its)), 0, Path("study")).compose()
            )
            for name, its in arms.items()
        }
    return try_arms(texts, anywhere)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("tracker=wanbd", "arm mt: tracker=wanbd: no such tracker; did you mean 'wandb'?"),
        ("export=onx", "arm mt: export=onx: did you mean 'onnx'?"),
        ("push_to_hub=true",
         "arm mt: push_to_hub=true would upload all runs of the study, one over the other. Leave "
         "it out, and upload the model of the run that you choose: `hf upload OWNER/NAME "
         "STUDY/ARM/seedK/model`"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("anywhere", [False, True])
def test_what_runs_would_be_refused_for_is_refused_before(override: str, said: str, anywhere: bool):
    with pytest.raises(ConfigError) as refused:
        tried(anywhere, mt=(override,))
    assert str(refused.value) == said


def test_packages_have_to_be_installed_where_the_runs_are(monkeypatch: pytest.MonkeyPatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if "onnx" in name else found(name)
    )
    with pytest.raises(ConfigError, match="arm mt: export=onnx needs onnx, onnxscript"):
        tried(mt=("export=onnx",))
    assert tried(anywhere=True, mt=("export=onnx",))["mt"].batch == "8 rows"


def test_what_arms_share_is_found():
    """Batches depend on the rows and on how many are taken; first weights on model and labels."""
    built = tried(
        finetune=(),
        meta=("objectives=[mlm]", "weighting=meta"),
        held=("objectives=[mlm]", "weighting=meta", "weighting.probe.split=train"),
        large=("batch_size=16",),
        few=("data.labelled=16",),
        wide=("model.hidden_size=32",),
    )
    batches = {name: arm.batches == built["finetune"].batches for name, arm in built.items()}
    start = {name: arm.start == built["finetune"].start for name, arm in built.items()}
    assert [name for name, same in batches.items() if same] == ["finetune", "meta", "wide"]
    assert [name for name, same in start.items() if not same] == ["wide"]
