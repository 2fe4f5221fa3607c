"""A study's notes name everything in which its runs differ, other than their configuration."""

from typing import Any

import pytest

from tartan.study.notes import budget, notes, splits
from tartan.study.results import Pair, RunResult, SplitUse
from tartan.study.worker import BuiltArm

PARTS = {
    "configuration": {"seed": 0},
    "data": {"train": "a", "task": "b"},
    "tokenizer": {"tokenizer": "c"},
    "model": {"model.safetensors": "d"},
    "plugins": {"mlm": "tartan 0.1.0 e"},
    "device": {"device": "cpu", "precision": "fp32"},
    "environment": {"torch": "2.13.0", "threads": "1"},
}


def summary(**parts: Any) -> dict[str, Any]:
    return {"identity": {"run": "r", "digest": "", "parts": PARTS | parts}, "changes": []}


def noted(*summaries: dict[str, Any]) -> list[str]:
    by_place = {f"meta/seed{n}": found for n, found in enumerate(summaries)}
    return list(notes((), (), {}, by_place, 0.05))


@pytest.mark.parametrize(
    ("part", "key", "named"),
    [
        ("data", "train", "data (train)"),
        ("data", "task", "data (task)"),
        ("tokenizer", "tokenizer", "tokenizer"),
        ("model", "model.safetensors", "model (model.safetensors)"),
        ("plugins", "mlm", "plugin (mlm)"),
    ],
)
def test_runs_on_other_content_are_said_to_be_no_comparison(part: str, key: str, named: str):
    (note,) = noted(summary(), summary(**{part: {**PARTS[part], key: "other"}}))
    assert note.startswith(f"The runs differ in {named}: they cannot be compared.")


@pytest.mark.parametrize(
    ("part", "key", "before"),
    [
        ("device", "device", "cpu"),
        ("device", "precision", "fp32"),
        ("environment", "torch", "2.13.0"),
        ("environment", "threads", "1"),
    ],
)
def test_runs_elsewhere_are_named_with_their_values(part: str, key: str, before: str):
    (note,) = noted(summary(), summary(), summary(**{part: {**PARTS[part], key: "other"}}))
    assert note == (
        f"The runs differ in {key}: {before} in meta/seed0, meta/seed1; other in meta/seed2."
    )


def test_an_arm_that_takes_the_dev_gradient_from_both_splits_is_named_with_each():
    built = {"meta": BuiltArm(rows={"train": 9, "dev": 3}, probe_splits=("dev", "train"))}
    train, dev = splits(built, "accuracy")
    assert "; meta took the dev gradient from rows held out of it" in train.used_for
    assert "; meta also took the dev gradient from it" in dev.used_for
    (note,) = notes((), (), built, {}, 0.05)
    assert note == (
        "meta held out training rows for the dev gradient, so batches of the end task are drawn "
        "from fewer rows there."
    )
    both = notes((), (), {"mt": BuiltArm(), **built}, {}, 0.05)
    assert both == (f"{note[:-1]} and are not those of other arms.",)


def test_rows_are_given_by_arm_where_they_differ():
    """Two arms of other labels; dev and test are the same for both."""
    built = {
        "few": BuiltArm(rows={"train": 64, "dev": 16}),
        "many": BuiltArm(rows={"train": 128, "dev": 16}, probe_splits=("train",)),
    }
    few, many, dev = splits(built, "accuracy")
    assert few == SplitUse("train", 64, "of few: the end task's training")
    assert (many.rows, many.used_for) == (
        128,
        "of many: the end task's training; many took the dev gradient from rows held out of it",
    )
    assert (dev.rows, dev.used_for.partition(",")[0]) == (16, "early stopping")


def test_a_corpus_that_only_a_later_arm_reads_is_listed():
    built = {"mt": BuiltArm(rows={"train": 9}), "dapt": BuiltArm(rows={"train": 9, "domain": 5})}
    assert [(use.split, use.rows) for use in splits(built, "accuracy")] == [
        ("train", 9), ("domain", 5),
    ]  # fmt: skip


def test_only_what_arms_share_is_called_the_same():
    batches = "Runs with the same seed see the same batches of the end task in the same order"
    start = "begin with the same weights of the body and of its head"
    whatever = ", whatever else they train."
    for other, said in (
        (BuiltArm(batches="a", start="b"), f"{batches}, and {start}{whatever}"),
        (BuiltArm(batches="a", start="c"), f"{batches}{whatever}"),
        (BuiltArm(batches="c", start="b"), f"Runs with the same seed {start}{whatever}"),
    ):
        assert budget({"mt": BuiltArm(batches="a", start="b"), "meta": other})[0] == said
    unlike = budget({"mt": BuiltArm(batches="a", start="b"), "meta": BuiltArm()})
    assert unlike[0].startswith("The budget counts rows")


def test_plugins_and_data_that_only_one_arm_has_are_no_difference():
    other = summary(plugins={**PARTS["plugins"], "rtd": "f"}, configuration={"seed": 1})
    assert noted(summary(), other) == []


def test_runs_whose_ground_is_unknown_or_changed_are_named():
    older = {"changes": []}
    changed = {**summary(), "changes": [{"step": 3, "changed": ["steps"]}]}
    assert noted(older, changed) == [
        "An older version wrote meta/seed0: what 1 run depended on was not recorded, and not "
        "compared.",
        "Resumed with changes: meta/seed1; `changes` in summary.json says which.",
    ]


def test_seeds_may_have_their_own_data_if_arms_of_a_seed_have_the_same():
    """data.dir=task/${seed}: the configuration says that data differs."""
    found = {
        f"{arm}/seed{seed}": summary(
            configuration={"seed": seed, "data": {"dir": f"task/{seed}"}},
            data={"train": f"rows of {seed}"},
        )
        for arm in ("finetune", "meta")
        for seed in (0, 1)
    }
    (note,) = notes((), (), {}, found, 0.05)
    assert note == "Each seed has its own data (train), the same for all arms."
    found["meta/seed1"] = summary(
        configuration={"seed": 1, "data": {"dir": "task/1"}}, data={"train": "others"}
    )
    (note,) = notes((), (), {}, found, 0.05)
    assert note.startswith("The runs differ in data (train): they cannot be compared.")


@pytest.mark.parametrize(
    ("section", "value"),
    [("model", "bert/{}"), ("objectives", "distil.teacher=teachers/{}")],
)
def test_seeds_may_have_their_own_models(section: str, value: str):
    found = {
        f"{arm}/seed{seed}": summary(
            configuration={"seed": seed, section: value.format(seed)},
            model={"model.safetensors": f"weights of {seed}"},
        )
        for arm in ("finetune", "meta")
        for seed in (0, 1)
    }
    (note,) = notes((), (), {}, found, 0.05)
    assert note == "Each seed has its own model (model.safetensors), the same for all arms."


def of_arms(part: str, key: str, sections: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Runs of arms on two seeds, each of which reads what a section of its configuration names."""
    (section,) = {name for name in ("data", "model", "objectives") if name in sections}
    return {
        f"{arm}/seed{seed}": summary(
            configuration={"seed": seed, section: sections[section].format(arm=arm, seed=seed)},
            **{part: {key: sections[section].format(arm=arm, seed=seed)}},
        )
        for arm in ("one", "two")
        for seed in (0, 1)
    }


@pytest.mark.parametrize(
    ("part", "key", "section", "named"),
    [
        ("data", "task", "data", "data (task)"),
        ("data", "objectives.aux", "objectives", "data (objectives.aux)"),
        ("model", "model.safetensors", "model", "model (model.safetensors)"),
        ("tokenizer", "tokenizer", "model", "tokenizer"),
    ],
)
def test_arms_that_read_other_content_on_purpose_are_compared(
    part: str, key: str, section: str, named: str
):
    """A reader who removed directories would train everything again, in vain."""
    found = of_arms(part, key, {section: "of {arm}"})
    different = (
        f"The arms read different {named}: differences between their scores include the effect of "
        "that."
    )
    assert notes((), (), {}, found, 0.05) == (different,)
    found = of_arms(part, key, {section: "of {arm} and {seed}"})
    assert notes((), (), {}, found, 0.05) == (f"Each seed has its own {named}.", different)
    found["two/seed1"]["identity"]["parts"][part] = {key: "changed"}
    found["two/seed2"] = of_arms(part, key, {section: "of {arm} and {seed}"})["two/seed1"]
    stale = notes((), (), {}, found, 0.05)
    assert stale[0].startswith(f"The runs differ in {named}: they cannot be compared.")


def test_seeds_may_have_their_own_data_of_an_objective():
    found = of_arms("data", "objectives.aux", {"objectives": "aux/{seed}"})
    assert notes((), (), {}, found, 0.05) == (
        "Each seed has its own data (objectives.aux), the same for all arms.",
    )


def test_data_that_changed_without_the_configuration_is_no_comparison():
    found = {
        f"meta/seed{seed}": summary(
            configuration={"seed": seed, "data": {"dir": "task"}}, data={"train": f"rows of {seed}"}
        )
        for seed in (0, 1)
    }
    (note,) = notes((), (), {}, found, 0.05)
    assert note.startswith("The runs differ in data (train): they cannot be compared.")


def test_runs_that_failed_are_not_called_too_few_seeds():
    """The study has seeds enough; one arm has no result."""
    runs = [
        RunResult(arm, seed, f"{arm}/seed{seed}", status)
        for arm, status in (("mt", "finished"), ("meta", "failed"))
        for seed in range(8)
    ]
    pair = Pair("meta", "mt", (), (), None, None, True, None, 1.0)
    found = notes(runs, [pair], {}, {}, 0.05)
    assert len(found) == 8
    assert all("failed; start the study again" in note for note in found)
    late = RunResult("mt", 0, "mt/seed0", "finished", "export=onnx: no space left")
    assert notes([late], [], {}, {}, 0.05) == (
        "mt/seed0 finished, but then failed: export=onnx: no space left; start the study again to "
        "retry",
    )
    few = notes([run for run in runs if run.seed < 3], [pair], {}, {}, 0.05)[-1]
    assert few == (
        "Too few seeds: a two-sided paired test of 3 seeds, corrected for 1 comparison, cannot "
        "give a p below 0.25; for one below 0.05, 6 seeds are needed."
    )


def test_a_streamed_corpus_has_no_number_of_rows():
    built = {"mt": BuiltArm(rows={"train": 9, "dev": 3, "test": 3, "domain": None})}
    assert splits(built, "accuracy")[-1] == SplitUse(
        "domain", None, "text without labels, of auxiliary objectives"
    )
