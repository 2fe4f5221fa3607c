"""A study's command line, sorted, and its arms: composed as runs are."""

import pytest

from tartan.config.store import register as register_plugins
from tartan.errors import ConfigError
from tartan.plugins import discover
from tartan.study import options
from tartan.study.command_line import Typed
from tartan.study.plan import arms, jobs, read_options, with_common

pytestmark = pytest.mark.heavy


@pytest.fixture(autouse=True, scope="module")
def _registered():
    register_plugins(discover())
    options.register()


def planned(*overrides):
    typed = Typed.split(overrides)
    return arms(read_options(typed), typed)


def test_overrides_are_sorted_by_whom_they_are_for():
    typed = Typed.split(
        ["study=paper", "study.seeds=3", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2",
         "steps=5", "objectives.tapt.mask_prob=0.2"]
    )  # fmt: skip
    assert typed.study == ["study=paper", "study.seeds=3"]
    assert typed.hydra == ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    assert typed.runs == ["steps=5", "objectives.tapt.mask_prob=0.2"]


def test_seeds_are_counted_or_listed():
    assert read_options(Typed.split(["study.seeds=3"])).seeds == [0, 1, 2]
    assert read_options(Typed.split(["study.seeds=[4,1]"])).seeds == [4, 1]
    assert read_options(Typed.split([])).seeds is None


def test_the_default_arms_and_what_makes_them():
    found = {arm.name: arm for arm in planned("steps=5")}
    assert list(found) == ["finetune", "tapt", "dapt", "dapt_tapt", "mt", "meta"]
    assert found["meta"].label == "META-TARTAN"
    assert found["meta"].own == ("schedule=joint", "objectives=[tapt]", "weighting=meta")
    assert found["meta"].overrides == ("steps=5", *found["meta"].own)


def test_an_override_of_all_applies_to_the_arms_that_have_its_option():
    found = {arm.name: arm.overrides for arm in planned("weighting.lr=0.2")}
    assert {name for name, its in found.items() if "weighting.lr=0.2" in its} == {"meta"}


@pytest.mark.parametrize("text", ["objectives.tapt.scale=0.5", "objectives.tapt.schedule=linear"])
def test_a_scale_applies_where_its_objective_trains_with_others(text: str):
    found = {arm.name: arm.overrides for arm in planned(text)}
    assert {name for name, its in found.items() if text in its} == {"mt", "meta"}
    with pytest.raises(ConfigError, match="tapt trains alone in every stage, and a scale is"):
        planned(text, "study.arms=[finetune,tapt]")


def test_an_objective_added_to_all_arms_replaces_none():
    added = "+objectives@objectives.mine=composed"
    for arm in planned("study=weightings", "objectives=[tapt]", added):
        assert added in arm.overrides
        assert "objectives=[tapt]" in arm.overrides or "objectives=[]" in arm.overrides


def test_anybody_adds_an_arm():
    (mine,) = planned(
        "+study.overrides.mine=['objectives=[mlm,rtd]','weighting=meta','weighting.every=2']",
        "study.arms=[mine]",
        "batch_size=4",
    )
    assert mine.overrides[0] == "batch_size=4"
    assert mine.label == "mine"


def test_an_entry_of_a_map_is_forced():
    (arm,) = planned("study.arms=[mt]", "weighting.weights={classification: 1, tapt: 2}")
    assert "weighting.weights={classification: 1, tapt: 2}" in arm.overrides[0]


def test_jobs_go_seed_by_seed_each_in_a_directory_of_its_own(tmp_path):
    chosen = planned("study.arms=[finetune,mt]")
    found = jobs(chosen, (3, 7), tmp_path / "a b", ())
    assert [job.place for job in found] == [
        "finetune/seed3", "mt/seed3", "finetune/seed7", "mt/seed7",
    ]  # fmt: skip
    assert found[0].directory == tmp_path / "a b/finetune/seed3"
    assert found[0].overrides[-2:] == ["seed=3", f"run_dir='{tmp_path}/a b/finetune/seed3'"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["seed=3"], "'seed=3': set study.seeds=... instead"),
        (["run_dir=x"], "'run_dir=x': set study.dir=... instead"),
        (["study.seedz=3"], "study.seedz: no such option; did you mean 'seeds'?"),
        (["study=papr"], "study=papr: no such option; did you mean 'paper'?"),
        (["study.seeds=0"], "study.seeds=0: give how many, at least 1, or a list of them"),
        (["study.seeds=[1,1]"], "study.seeds=[1, 1]: give how many, at least 1, or a list of them"),
        (["study.level=2"], "study.level must be in (0, 1), got 2.0."),
        (["study.arms=[]"], "study.arms=[]: name at least one arm"),
        (["study.arms=[mt,mata]"], "study: no arm 'mata'; did you mean 'meta'?"),
        (["study.arms=[mt,mt]"], "study.arms=['mt', 'mt']: name each arm once"),
        (["study.arms=[mt]", "study.against=meta"],
         "study.against=meta: it is not among study.arms"),
        (["weightng.lr=1"], "weightng.lr: no such option; did you mean 'weighting'?"),
        (["weighting.lrr=1"], "weighting.lrr: no such option; did you mean 'lr'?"),
        (["study.level=0.95"],
         "study.level=0.95: p values below it count as significant, so give at most 0.5, such as "
         "0.05; the confidence of intervals is study.confidence"),
        (["steps=1,2"],
         "'steps=1,2' is several values: make an arm of each, study.overrides.<arm>"),
        (["objectives=[mlm]"],
         "'objectives=[mlm]' is set by every arm: add an arm, "
         "'+study.overrides.mine=[\"objectives=[mlm]\"]', or change study.overrides.tapt"),
        (["data=nope"], "arm finetune: data=nope: no such option; choose from: chemprot, "
         "citation_intent, demo, files, hub, hyperpartisan, jsonl, sciie"),
        (["study.arms=[mine]", "+study.overrides.mine=['seed=3']"],
         "arm mine: 'seed=3' is not an override of an arm"),
        (["study.arms=[mine]", "+study.overrides.mine=['weightng=meta']"],
         "arm mine: weightng: no such option; did you mean 'weighting'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_a_line(overrides, said):
    with pytest.raises(ConfigError) as refused:
        planned(*overrides)
    assert str(refused.value) == said


def test_two_arms_of_one_label_are_refused():
    with pytest.raises(ConfigError, match="give each arm a label of its own"):
        planned("study.labels.mt=TAPT")


def test_weightings_are_compared_on_the_objectives_that_are_typed():
    typed = Typed.split(["study=weightings", "objectives=[mlm,rtd]"])
    chosen = read_options(typed)
    found = {arm.name: arm.overrides for arm in arms(chosen, with_common(typed, chosen))}
    assert list(found)[:2] == ["finetune", "static"]
    assert found["meta"] == ("schedule=joint", "objectives=[mlm,rtd]", "weighting=meta")
    assert found["finetune"] == ("schedule=paired_finetune", "objectives=[]")


def test_a_studys_own_overrides_of_every_arm_hold_where_none_are_typed():
    typed = Typed.split(["study=weightings", "study.arms=[static]"])
    chosen = read_options(typed)
    (arm,) = arms(chosen, with_common(typed, chosen))
    assert arm.overrides == ("objectives=[tapt]", "schedule=joint", "weighting=static")
    assert arm.own == ("weighting=static",)


def test_every_weighting_of_the_study_of_weightings_is_installed():
    names = read_options(Typed.split(["study=weightings"])).overrides
    installed = discover().weightings
    assert set(names) - {"finetune"} <= set(installed)
