"""Stages train any selection of objectives, each by its own weighting with options of its own."""

from pathlib import Path
from typing import Any

import pytest

from support import experiments
from support.command import SMALL, write_task
from tartan import ConfigError, TartanError
from tartan.config.overrides import accept
from tartan.config.store import register
from tartan.experiment.build import Experiment
from tartan.experiment.schedule import check_name
from tartan.plugins import discover
from tartan.train.schedule import StageOptions, check_selection
from tartan.train.stage import Stage
from tartan_weightings.meta import Meta
from tartan_weightings.static import Static

pytestmark = pytest.mark.heavy

NAMES = ("task", "tapt", "dapt")


def built(*overrides: str) -> Experiment:
    """An experiment as the command line would build it."""
    return experiments.built(*SMALL, *overrides, typed=True)


@pytest.mark.parametrize(
    ("objectives", "expected"),
    [
        ("all", NAMES),
        ("primary", ("task",)),
        ("auxiliary", ("tapt", "dapt")),
        (["dapt"], ("dapt",)),
        (["dapt", "tapt"], ("tapt", "dapt")),
        (["dapt", "task"], ("task", "dapt")),
        (["dapt", "primary"], ("task", "dapt")),
    ],
)
def test_a_stage_selects_in_the_runs_order(objectives: Any, expected: tuple[str, ...]):
    assert StageOptions(objectives=objectives).select(NAMES) == expected


@pytest.mark.parametrize(
    ("objectives", "line"),
    [
        ("primry", "x is 'primry': did you mean 'primary'?; a list names objectives"),
        ("tapt", "x is 'tapt': write [tapt]; a list names objectives"),
        ([], "x is []: name at least one objective"),
        (["task", "primary"], "x is ['task', 'primary']: name each objective once"),
        (["tapt", "tapt"], "x is ['tapt', 'tapt']: name each objective once"),
        ([3], "x is [3]: give all, primary, auxiliary or a list"),
        ({"a": 1}, "x is {'a': 1}: give all, primary, auxiliary or a list"),
    ],
)
def test_a_selection_without_meaning_is_one_line(objectives: Any, line: str):
    with pytest.raises(ConfigError) as caught:
        check_selection(objectives, NAMES, "x")
    assert str(caught.value) == line


def test_each_stage_has_its_own_weighting_with_its_own_options():
    experiment = built(
        "objectives=[mlm,simcse]",
        "weighting=meta",
        "weighting.lr=0.5",
        "schedule.stages.joint.objectives=[classification,mlm]",
        "schedule.stages.joint.weighting={plugin: meta, lr: 0.1, probe: {steps: 3}}",
        "schedule.stages.finetune.weighting=meta",
        "schedule.stages.finetune.objectives=[simcse]",
    )
    joint, finetune = (Stage(experiment.setup, o) for o in experiment.stages.values())
    assert joint.names == ("classification", "mlm")
    assert finetune.names == ("simcse",)
    assert isinstance(joint.weighting, Meta)
    assert isinstance(finetune.weighting, Meta)
    assert (joint.weighting._options.lr, joint.weighting.probe.steps) == (0.1, 3)
    assert finetune.weighting._options.lr == 0.01, "its plugin's default, not the run's own"
    assert experiment.stages["joint"].trains_primary
    assert not experiment.stages["finetune"].trains_primary
    selections = [plan.selection for plan in experiment.stages.values()]
    assert selections == ["primary, mlm", "simcse"]
    assert experiment.setup.model.names == ("classification", "mlm", "simcse")


def test_a_stage_takes_the_runs_values_where_it_has_none():
    experiment = built("objectives=[mlm]", "weighting.weights={classification: 1, mlm: 3}",
                       "optimizer.eps=0.5", "eval.patience=7")  # fmt: skip
    joint, finetune = experiment.stages.values()
    assert joint.steps == 6
    assert joint.patience == 7
    assert (joint.optimizer.eps, finetune.optimizer.eps) == (0.5, 0.5)
    assert finetune.optimizer.body_lr == 5e-6
    weighting = Stage(experiment.setup, joint).weighting
    assert isinstance(weighting, Static)
    assert weighting.weights().tolist() == [1, 3]


def test_an_objective_that_no_stage_trains_is_left_out_and_reported():
    experiment = built("objectives=[mlm,simcse]", "schedule.stages.joint.objectives=[primary,mlm]")
    assert experiment.setup.model.names == ("classification", "mlm")
    assert "No stage trains simcse: left out." in experiment.notices


@pytest.mark.parametrize(("name", "trains_head"), [("mlm", False), ("rdrop", True)])
def test_an_end_task_that_no_stage_trains_is_reported(name: str, trains_head: bool):
    """`rdrop` trains the end task's own head."""
    stages = [f"schedule.stages.{stage}.objectives=auxiliary" for stage in ("joint", "finetune")]
    notice = "No stage trains classification, the end task: its head keeps its initial weights."
    for selected, expected in ((stages, not trains_head), (stages[:1], False)):
        experiment = built(f"objectives=[{name}]", *selected)
        assert (notice in experiment.notices) is expected


def test_dapt_tapt_trains_the_domain_then_the_task_then_the_end_task(tmp_path: Path):
    write_task(tmp_path, domain="other words\n" * 9, unlabelled="more words\n" * 9)
    small = [override for override in SMALL if not override.startswith("data.")]
    data = ["data=jsonl", f"data.dir={tmp_path}"]
    chosen = [*small, *data, "schedule=dapt_tapt", "objectives=[dapt,tapt]"]
    experiment = experiments.built(*chosen)
    names = {name: plan.names for name, plan in experiment.stages.items()}
    assert names == {"dapt": ("dapt",), "tapt": ("tapt",), "finetune": ("classification",)}


WHERE = "schedule.stages.joint"


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["schedule=dapt_tapt"],
         "schedule.stages.dapt.objectives: dapt is not an objective of the run; add it: "
         "'objectives=[dapt,tapt]'"),
        ([f"{WHERE}.weighting=mta"],
         "no weighting 'mta' is installed: did you mean 'meta'?"),
        ([f"{WHERE}.weighting={{plugin: meta, lrr: 1}}"],
         f"{WHERE}.weighting.lrr: no such option; did you mean 'lr'?"),
        ([f"{WHERE}.weighting={{plugin: meta, lr: -1}}"],
         f"{WHERE}.weighting.lr must be at least 0 and finite, or null, got -1.0."),
        ([f"{WHERE}.weighting={{plugin: meta, probe: {{lr: -1}}}}"],
         f"{WHERE}.weighting.probe.lr must be at least 0 and finite, got -1.0."),
        ([f"{WHERE}.weighting={{lr: 1}}"],
         f"{WHERE}.weighting is {{'lr': 1}}: give a weighting's name, or a map such as "
         "{plugin: meta, lr: 0.1}"),
        ([f"{WHERE}.weighting=3"],
         f"{WHERE}.weighting is 3: give a weighting's name, or a map such as "
         "{plugin: meta, lr: 0.1}"),
        ([f"{WHERE}.patience=-1"], f"{WHERE}.patience must be at least 0, got -1."),
        ([f"{WHERE}.steps=-1"], f"{WHERE}.steps must be at least 0, got -1."),
        ([f"{WHERE}.epochs=-1"],
         f"{WHERE}.epochs must be at least 0 and finite, or null, got -1.0."),
        ([f"{WHERE}.optimizer.body_lrr=1"],
         f"{WHERE}.optimizer.body_lrr: no such option; did you mean 'body_lr'?"),
        ([f"{WHERE}.optimizer.body_lr=-1"],
         f"{WHERE}.optimizer.body_lr must be at least 0 and finite, got -1.0."),
        ([f"{WHERE}.optimizer.body_lr=fast"],
         f"{WHERE}.optimizer.body_lr must be a number, got fast"),
        (["optimizer.warmup=2"], "optimizer.warmup must be in [0, 1], got 2.0."),
        (["weighting=meta", "weighting.probe.split=train", "weighting.probe.held_out=0.1",
          "schedule.stages.finetune.weighting="
          "{plugin: meta, probe: {split: train, held_out: 0.2}}"],
         "weighting.probe.held_out differs between stages (0.1, 0.2): give all the same"),
        (["schedule.stages.finetune.steps=100"],
         "schedule.stages.finetune.steps=100: the stage's budget is "
         "schedule.stages.finetune.epochs=10: set schedule.stages.finetune.epochs=null too, or "
         "leave steps out"),
        (["weighting=meta", "weighting.probe.split=train", "weighting.probe.held_out=0.999"],
         "weighting.probe.held_out=0.999 leaves none of the 24 training rows to train on: give a "
         "smaller share"),
        *((["objectives=[mlm,clm]", "schedule=pretrain", f"weighting={name}"],
           "schedule.stages.pretrain does not train the end task, but only mlm, clm, and its "
           f"weighting {what}: give schedule.stages.pretrain.weighting=static, or another that "
           "treats all alike") for name, what in (("gcs", "puts the end task first"),
           ("meta_factored", "computes the end task in every step"),
           ("bandit", "computes the end task in every step"))),
    ],
)  # fmt: skip
def test_a_stage_without_meaning_is_one_line(overrides: list[str], line: str):
    with pytest.raises(TartanError) as caught:
        built("objectives=[mlm]" if "dapt_tapt" not in overrides[0] else "seed=0", *overrides)
    assert str(caught.value) == line


def test_an_option_of_a_stages_weighting_is_set_by_its_name(tmp_path: Path):
    """In a map of a schedule file, in a group's option there, and not where there is neither."""
    (tmp_path / "schedule").mkdir()
    stages = "stages: {joint: {objectives: all, weighting: {plugin: meta}}}"
    (tmp_path / "schedule/mapped.yaml").write_text(stages)
    (tmp_path / "schedule/grouped.yaml").write_text(
        "defaults: [/weighting@stages.joint.weighting: meta]\nstages: {joint: {objectives: all}}"
    )
    register(discover())
    option = f"{WHERE}.weighting.lr=0.1"
    for schedule in ("mapped", "grouped"):
        accepted = accept([f"schedule={schedule}", option], search=str(tmp_path))
        assert accepted[1].lstrip("+") == option
    with pytest.raises(ConfigError) as caught:
        accept([option])
    assert str(caught.value) == (
        f"{WHERE}.weighting.lr: {WHERE}.weighting is a single value, without 'lr'; "
        f"write '{WHERE}.weighting={{plugin: meta, lr: ...}}'"
    )


@pytest.mark.parametrize("name", ["primary", "all", "auxiliary", "a.b", "keys"])
def test_a_name_that_means_something_else_is_no_objectives(name: str):
    with pytest.raises(ConfigError, match=rf"^objectives\.{name}: no objective can have this name"):
        check_name(name)


def test_validation_constructs_no_stage(monkeypatch: pytest.MonkeyPatch):
    def construct(*_: object) -> None:
        raise AssertionError("a stage was constructed")

    monkeypatch.setattr(Stage, "__init__", construct)
    assert list(built("objectives=[mlm]", "weighting=meta").stages) == ["joint", "finetune"]
