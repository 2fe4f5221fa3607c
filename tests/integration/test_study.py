"""Studies, as typed: real runs in real processes, killed for real."""

import csv
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.command import Answer, records, summary
from support.pages import check_self_contained, read
from support.studies import ONE_STEP, TINY, results, same, wait_for
from tartan.study.results import FORMAT


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed study."""
    from tartan.cli import main  # noqa: PLC0415 - as a user starts it

    study = tmp_path_factory.mktemp("whole") / "study"
    assert main(["study", *TINY, f"study.dir={study}"]) == 0
    return study


def test_a_study_leaves_a_run_in_each_place_and_its_tables(whole: Path):
    found = results(whole)
    assert found["format"] == FORMAT
    assert [run["directory"] for run in found["runs"]] == [
        "finetune/seed0", "finetune/seed1", "mt/seed0", "mt/seed1",
    ]  # fmt: skip
    for run in found["runs"]:
        said = summary(whole / run["directory"])
        assert run["status"] == "finished"
        assert (run["dev"], run["test"]) == (said["dev"], said["test"])
        assert (whole / run["directory"] / "model").is_dir()
        assert "best model" in (whole / f"{run['directory']}.log").read_text()
    (pair,) = found["pairs"]
    assert (pair["first"], pair["second"], pair["seeds"]) == ("mt", "finetune", [0, 1])
    scores = {(run["arm"], run["seed"]): run["test"]["macro_f1"] for run in found["runs"]}
    assert pair["differences"] == [scores["mt", s] - scores["finetune", s] for s in (0, 1)]
    assert not list(whole.glob("**/.lock"))


def test_a_run_of_a_study_is_an_ordinary_run(whole: Path, tartan: Callable[..., Answer]):
    """Its overrides make the same run again."""
    overrides = (whole / "mt/seed1/.hydra/overrides.yaml").read_text().splitlines()
    typed = [line.removeprefix("- ").strip("'") for line in overrides if "run_dir" not in line]
    assert tartan("run", *typed, "run_dir=again").status == 0
    assert records(Path("again")) == records(whole / "mt/seed1")


def test_a_studys_tables_say_what_its_results_say(whole: Path):
    found, text = results(whole), (whole / "study.md").read_text()
    with (whole / "study.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (whole / "runs.csv").open() as file:
        assert [row["directory"] for row in csv.DictReader(file)] == [
            run["directory"] for run in found["runs"]
        ]
    for arm, row in zip(found["arms"], rows, strict=True):
        assert float(row["test_mean"]) == arm["test"]["mean"]
        assert f"{arm['test']['mean']:.4f} ± {arm['test']['std']:.4f}" in text
    page = read(whole / "study.html")
    check_self_contained(page)
    assert f"{arm['test']['mean']:.4f} ± {arm['test']['std']:.4f}" in page.cells()
    assert "Too few seeds: a two-sided paired test of 2 seeds, corrected for 1 comparison" in text
    assert "for one below 0.05, 6 seeds are needed" in text
    said = "No difference between MT-TARTAN and Fine-tuning can be shown with 2 seeds"
    (conclusion,) = found["conclusions"]
    assert conclusion.startswith(said) or "have equal scores with 2 seeds" in conclusion
    assert conclusion in text
    assert "* test (16 rows): read once in each run" in text
    assert "* dev (16 rows): early stopping" in text


def test_arms_have_one_budget_of_the_end_tasks_rows(whole: Path):
    found = results(whole)
    budgets = [sum(s["primary_examples"] for s in arm["stages"]) for arm in found["arms"]]
    assert budgets == [9 * 8, 9 * 8]
    assert not any("budget" in note for note in found["notes"])
    for run in found["runs"]:
        assert [point["primary_examples"] for point in run["curve"]] == [24, 48, 72]
        assert [point["step"] for point in run["curve"]] == [3, 6, 9]
        seconds = [point["seconds"] for point in run["curve"]]
        assert seconds == sorted(seconds)
        assert seconds[0] > 0


def test_a_study_that_is_complete_runs_nothing_again(whole: Path, tartan: Callable[..., Answer]):
    before, results_before = (whole / "mt/seed0/summary.json").stat(), results(whole)
    answer = tartan("study", *TINY, f"study.dir={whole}")
    assert answer.status == 0
    assert "4 finished, 0 to do" in answer.out
    assert (whole / "mt/seed0/summary.json").stat().st_mtime_ns == before.st_mtime_ns
    assert results(whole) == results_before


def test_another_configuration_is_refused(whole: Path, tartan: Callable[..., Answer]):
    answer = tartan("study", *TINY, f"study.dir={whole}", "batch_size=4")
    assert answer.status == 2
    assert answer.err.startswith(f"tartan: {whole}/finetune/seed0 has a run of another config")
    assert "choose another study.dir, or remove that directory" in answer.err
    assert len(answer.err.splitlines()) == 1


def test_a_study_that_was_killed_ends_with_the_same_table(
    whole: Path,
    spawn: Callable[..., "subprocess.Popen[str]"],
    tartan: Callable[..., Answer],
    tmp_path: Path,
):
    """Killed in its second run; that dies with it, and holds nothing against the next one."""
    process = spawn("study", *TINY, "study.dir=killed")
    wait_for(tmp_path / "killed/mt/seed0/metrics.jsonl", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "killed/study.json").exists()
    again = tartan("study", *TINY, "study.dir=killed")
    assert again.status == 0
    assert "1 finished, 3 to do" in again.out
    same(tmp_path / "killed", whole)


def test_joblib_spreads_the_runs_over_cores(
    whole: Path, tartan: Callable[..., Answer], tmp_path: Path
):
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    answer = tartan("study", *TINY, "study.dir=spread", *launcher)
    assert answer.status == 0, answer.err
    same(tmp_path / "spread", whole)


def test_study_json_is_plain(whole: Path):
    """It is read back as it was written, without anything that JSON has no word for."""
    text = (whole / "study.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)


@pytest.mark.slow
def test_weightings_are_compared_by_a_study_of_their_own(
    tartan: Callable[..., Answer], tmp_path: Path
):
    answer = tartan(
        "study", "study=weightings", "study.arms=[finetune,static,bandit,meta]", *ONE_STEP,
        "objectives=[mlm,simcse]", "data.train=24", "data.dev=16", "data.test=16",
        "data.unlabelled=40",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    found = results(tmp_path / "study-weightings")
    assert [run["directory"] for run in found["runs"]] == [
        "finetune/seed0", "static/seed0", "bandit/seed0", "meta/seed0",
    ]  # fmt: skip
    assert summary(tmp_path / "study-weightings/bandit/seed0")["objectives"] == ["mlm", "simcse"]
    assert {(pair["first"], pair["second"]) for pair in found["pairs"]} == {
        ("finetune", "static"), ("bandit", "static"), ("meta", "static"),
    }  # fmt: skip
