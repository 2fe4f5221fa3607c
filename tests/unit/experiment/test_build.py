"""Experiments are built without their device where they are only looked at; what cannot train."""

from pathlib import Path

import pytest
from torch import nn

from support.command import SMALL
from support.experiments import built, configured
from tartan import ConfigError
from tartan.experiment.build import build, without_device
from tartan.plugins import discover
from tartan_objectives.classification import Classification

DEVICE = ["device=cuda", "precision=bf16", "cuda_graphs=true", "compile=true"]


def test_where_there_is_neither_a_gpu_nor_a_compiler(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    config = configured(*SMALL, "objectives=[mlm]", *DEVICE)
    experiment = build(without_device(config), discover())
    assert experiment.setup.runtime.device.type == "cpu"


@pytest.mark.parametrize("objective", ["declutr", "simcse", "supcon"])
def test_an_objective_that_compares_rows_needs_two(objective: str):
    """Of one micro-batch: `accumulate` does not help."""
    with pytest.raises(ConfigError) as caught:
        built(*SMALL, f"objectives=[{objective}]", "accumulate=4", "batch_size=1")
    assert str(caught.value) == (
        f"objectives.{objective}.batch_size=1: a row has nothing to be compared with; set at "
        "least 2"
    )


def test_a_limit_on_tokens_has_to_hold_two_rows():
    small, limit = [*SMALL, "objectives=[simcse]"], "objectives.simcse.max_tokens"
    with pytest.raises(
        ConfigError, match=rf"^{limit}=1: a row has .*; set at least \d+$"
    ) as caught:
        built(*small, f"{limit}=1")
    least = str(caught.value).rpartition(" ")[2]
    assert built(*small, f"{limit}={least}")


def test_other_objectives_train_on_a_row_at_a_time():
    assert built(*SMALL, "objectives=[mlm]", "batch_size=1")


@pytest.mark.parametrize(("schedule", "splits"), [("joint", ("dev",)), ("pretrain", ())])
def test_a_stage_with_one_objective_learns_no_weight_from_dev(schedule: str, splits: tuple):
    experiment = built(*SMALL, "objectives=[mlm]", f"schedule={schedule}", "weighting=meta")
    assert experiment.probe_splits == splits


def test_a_weighting_is_not_given_fewer_objectives_than_it_weighs():
    with pytest.raises(ConfigError) as caught:
        built(*SMALL, "objectives=[mlm]", "weighting=torchjd_krum")
    assert str(caught.value) == (
        "weighting: torchjd_krum weighs at least 3 objectives, and here 2 objectives would be "
        "trained (classification, mlm): choose weighting=static there"
    )


@pytest.mark.parametrize(
    ("head", "found"),
    [(nn.Linear(2, 2), "its `head` is a Linear"), (None, "it has no `head`")],
)
def test_an_end_task_with_a_head_of_its_own_is_refused(
    head: nn.Module | None, found: str, monkeypatch: pytest.MonkeyPatch
):
    """Its model could not be exported. An auxiliary objective may have any head."""
    make = Classification.__init__

    def make_with_own_head(self, options, context):
        make(self, options, context)
        del self.head
        if head is not None:
            self.head = head

    monkeypatch.setattr(Classification, "__init__", make_with_own_head)
    with pytest.raises(ConfigError) as caught:
        built(*SMALL, "objectives=[mlm]")
    assert str(caught.value) == (
        f"primary=classification cannot be exported: {found}, not one of context.head(...). Set "
        "that in its __init__, or choose another end task and list classification_aux, with data "
        "of its own, in `objectives`"
    )
