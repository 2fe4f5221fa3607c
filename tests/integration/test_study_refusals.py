"""What a study refuses, what it leaves out, and what it cannot start runs with."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.command import Answer, write_task
from support.studies import ONE_STEP, TINY, results


def test_finished_runs_of_other_data_are_refused(tmp_path: Path, tartan: Callable[..., Answer]):
    """Whichever of its arms read them: nothing is mixed."""
    data = write_task(tmp_path / "data", domain="green is a colour\n" * 3)
    typed = [*ONE_STEP, "data=jsonl", "data.dir=data", "study.arms=[finetune,dapt]"]
    assert tartan("study", *typed).status == 0
    before = (tmp_path / "study/study.json").read_bytes()
    for name, text in (
        ("domain", "red is another\n"),
        ("train", '{"text": "x", "label": "cold"}\n'),
    ):
        path = next(data.glob(f"{name}.*"))
        kept = path.read_text()
        path.write_text(kept + text)
        answer = tartan("study", *typed)
        assert answer.status == 2
        assert len(answer.err.splitlines()) == 1
        assert f"data ({name})" in answer.err
        assert "changed since then. Restore what was there, choose another study.dir" in answer.err
        assert (tmp_path / "study/study.json").read_bytes() == before
        path.write_text(kept)
    assert tartan("study", *typed).status == 0


def test_a_study_whose_data_depends_on_the_seed_is_resumed(
    tmp_path: Path, tartan: Callable[..., Answer]
):
    """Each seed reads a directory of its own; a change of the first seed's is still refused."""
    for seed, word in enumerate(("green", "blue")):
        data = write_task(tmp_path / f"task/{seed}")
        rows = (data / "train.jsonl").read_text().replace("number", word)
        (data / "train.jsonl").write_text(rows)
    typed = [*ONE_STEP, "data=jsonl", "data.dir=task/${seed}", "study.arms=[finetune,mt]"]
    assert tartan("study", *typed, "study.seeds=2").status == 0
    again = tartan("study", *typed, "study.seeds=2")
    assert again.status == 0, again.err
    assert "4 finished, 0 to do" in again.out
    assert "they cannot be compared" not in again.out
    train = tmp_path / "task/0/train.jsonl"
    train.write_text(train.read_text() + '{"text": "more", "label": "cold"}\n')
    refused = tartan("study", *typed, "study.seeds=2")
    assert refused.status == 2
    assert "data (train)" in refused.err


@pytest.mark.skipif(find_spec("submitit") is not None, reason="it is installed here")
@pytest.mark.parametrize("name", ["submitit_local", "submitit_slurm"])
def test_a_launcher_that_is_not_installed_is_named(name: str, tartan: Callable[..., Answer]):
    answer = tartan("study", f"hydra/launcher={name}")
    assert (answer.status, answer.err) == (
        2,
        f"tartan: hydra/launcher={name} is not installed: pip install hydra-submitit-launcher\n",
    )


def test_a_launcher_that_fails_is_one_line_and_the_study_can_go_on(
    tmp_path: Path, tartan: Callable[..., Answer]
):
    """joblib is configured with no core."""
    broken = tartan("study", *TINY, "hydra/launcher=joblib", "hydra.launcher.n_jobs=0")
    assert broken.status == 2
    assert broken.err.startswith("tartan: hydra/launcher=joblib failed: ValueError: ")
    assert broken.err.endswith("; give the same command to resume\n")
    assert len(broken.err.splitlines()) == 1
    assert {run["status"] for run in results(tmp_path / "study")["runs"]} == {"unfinished"}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["data=jsonl", "data.dir=nowhere"],
         "tartan: arm finetune: nowhere: no such directory: set data.dir=... to the task's "
         "directory\n"),
        (["hydra/launcher=slurm"],
         "tartan: hydra/launcher=slurm: no such launcher; choose from: basic, joblib, "
         "submitit_local, submitit_slurm\n"),
        (["study.arms=[dapt]"],
         "tartan: arm dapt: objective dapt reads the domain corpus, which demo lacks: give "
         "data.domain=PATH (data=files, data=hub), add domain.txt to data.dir (data=jsonl), or "
         "leave the objective out\n"),
        (["study.arms=[finetune,other]",
          "+study.overrides.other=['objectives=[]','eval.metric=accuracy']"],
         "tartan: arms choose their best model by different metrics (finetune: macro_f1, other: "
         "accuracy): give all the same eval.metric\n"),
        (["weighting=pcd"],
         "tartan: 'weighting=pcd' changes no arm: those that weigh several objectives (mt, meta) "
         "set their own. Add an arm, '+study.overrides.mine=[\"objectives=[tapt]\","
         "\"weighting=pcd\"]', or give study=weightings\n"),
        (["study.arms=[finetune,tapt]", "weighting=pcd"],
         "tartan: 'weighting=pcd' changes no arm: none weighs several objectives. Add an arm, "
         "'+study.overrides.mine=[\"objectives=[tapt]\",\"weighting=pcd\"]', or give "
         "study=weightings\n"),
        (["study.seeds=2", "study.level=0.00001"],
         "tartan: study.level=1e-05: corrected for 6 comparisons, no p can be below 0.00073: give "
         "a higher level, or fewer arms\n"),
        (["--multirun"], "tartan: a study already consists of several runs: leave -m out\n"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_before_any_run(
    overrides: list[str], said: str, tmp_path: Path, tartan: Callable[..., Answer]
):
    answer = tartan("study", *overrides)
    assert (answer.status, answer.err) == (2, said)
    assert list(tmp_path.iterdir()) == []


def test_dapt_is_an_arm_where_there_is_a_domain_corpus(
    tmp_path: Path, tartan: Callable[..., Answer]
):
    write_task(tmp_path / "with", domain="green is a colour\n" * 3)
    write_task(tmp_path / "without")
    for data, names in (("with", ["dapt", "dapt_tapt", "mt"]), ("without", ["mt"])):
        answer = tartan(
            "study", *ONE_STEP, "data=jsonl", f"data.dir={data}", f"study.dir=of_{data}",
            "~study.overrides.finetune", "~study.overrides.tapt", "~study.overrides.meta",
        )  # fmt: skip
        assert answer.status == 0, answer.err
        assert [arm["name"] for arm in results(tmp_path / f"of_{data}")["arms"]] == names
    study = (tmp_path / "of_without/study.md").read_text()
    for arm in ("dapt", "dapt_tapt"):
        said = f"Arm {arm} is left out: objective dapt reads the domain corpus, which without lacks"
        assert said in answer.out
        assert said.replace("_", r"\_") in study or said in study


def test_help_says_what_there_is(tartan: Callable[..., Answer]):
    answer = tartan("study", "--help")
    assert answer.status == 0
    for text in ("study.seeds=", "study.overrides.meta=", "hydra/launcher=joblib"):
        assert text in answer.out
