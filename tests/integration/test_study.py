"""Studies, as typed: real runs in real processes, killed for real."""

import csv
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.command import Answer, records, summary, write_task
from support.pages import check_self_contained, read
from support.studies import ONE_STEP, TINY, results, same
from tartan.experiment.lock import locked
from tartan.study.results import FORMAT


def wait_for(file: Path, process: "subprocess.Popen[str] | None" = None) -> None:
    """Wait until a file has something in it, or a process has ended."""
    while not (file.exists() and file.stat().st_size):
        if process is not None and process.poll() is not None:
            return
        time.sleep(0.01)


def interrupting(file: Path, number: signal.Signals) -> threading.Thread:
    """Send this process a signal when a file has something in it."""

    def interrupt() -> None:
        wait_for(file)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    return thread


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
    said = "No difference between MT-TARTAN and Fine-tuning can be shown with 2 seeds; "
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


def test_a_study_says_before_it_starts_how_long_it_takes_and_what_it_can_show(
    tartan: Callable[..., Answer], tmp_path: Path
):
    """Measured over the first steps of every stage; later by the runs that are finished."""
    typed = [*TINY, "steps=20", "eval.every=10"]
    answer = tartan("study", *typed)
    assert answer.status == 0, answer.err
    before = answer.out[: answer.out.index("[1/4]")].splitlines()
    number = r"\d+(\.\d+)? s"
    assert re.fullmatch(
        f"At most about {number}, one run at a time; a run takes finetune {number}, mt {number}: "
        "measured over the first steps.",
        before[-2],
    )
    assert before[-1] == (
        "2 seeds and 1 comparison: no difference can be shown, however large; at least 6 seeds "
        "are needed."
    )
    thread = interrupting(tmp_path / "study/finetune/seed2/metrics.jsonl", signal.SIGINT)
    more = tartan("study", *typed, "study.seeds=6")
    thread.join()
    assert more.status == 128 + signal.SIGINT
    between = more.out[: more.out.index("[1/8]")].splitlines()
    assert between[-2].endswith(": measured over the first steps or finished runs.")
    assert between[-1].startswith(
        "6 seeds and 1 comparison: the smallest difference that is shown with a probability of 80%"
    )


def test_an_arm_that_cannot_be_measured_is_named_and_fails_in_its_runs(
    tartan: Callable[..., Answer], tmp_path: Path
):
    """Its second step leads to numbers that are not finite."""
    own = ["schedule=finetune", "objectives=[]", "optimizer.body_lr=1e30"]
    typed = [*TINY, f"+study.overrides.broken={json.dumps(own)}", "study.seeds=1", "steps=20"]
    answer = tartan("study", *typed, "study.arms=[finetune,broken]")
    assert answer.status == 1
    assert "Not measured: broken." in answer.out
    assert {run["arm"]: run["status"] for run in results(tmp_path / "study")["runs"]} == {
        "finetune": "finished", "broken": "failed",
    }  # fmt: skip


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


def test_a_run_that_died_before_its_page_was_written_gets_it(
    tmp_path: Path, tartan: Callable[..., Answer]
):
    one = [*TINY, "study.arms=[mt]", "study.seeds=1", "report=true"]
    assert tartan("study", *one).status == 0
    run, before = tmp_path / "study/mt/seed0", results(tmp_path / "study")
    (run / "report.html").unlink()
    (run / ".lock").write_text("left behind")
    again = tartan("study", *one)
    assert again.status == 0
    assert "0 finished, 1 to do" in again.out
    assert (run / "report.html").exists()
    assert not (run / ".lock").exists()
    assert results(tmp_path / "study")["runs"] == before["runs"]
    assert "1 finished, 0 to do" in tartan("study", *one).out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_saves_the_run_under_way(
    tartan: Callable[..., Answer], tmp_path: Path, number: signal.Signals
):
    first = tmp_path / "study/finetune/seed0"
    thread = interrupting(first / "metrics.jsonl", number)
    answer = tartan("study", *TINY, "steps=2000", "eval.patience=0")
    thread.join()
    assert answer.status == 128 + number
    assert answer.err == f"tartan: stopped by {number.name}; to resume, give the same command\n"
    assert list(first.glob("checkpoints/checkpoint-*"))
    assert {run["status"] for run in results(tmp_path / "study")["runs"]} == {"unfinished"}


def test_a_broken_run_is_named_the_others_go_on_and_it_is_tried_again(
    tmp_path: Path, tartan: Callable[..., Answer]
):
    """What breaks it is that its directory is in use."""
    one_arm = [*TINY, "study.arms=[mt]"]
    with locked(tmp_path / "study/mt/seed1"):
        broken = tartan("study", *one_arm)
    assert broken.status == 1
    assert broken.err == (
        "tartan: 1 of 2 runs failed (mt/seed1): give the same command to try them again\n"
    )
    found = {run["directory"]: run for run in results(tmp_path / "study")["runs"]}
    assert found.pop("mt/seed1")["error"].startswith(
        f"{tmp_path}/study/mt/seed1 is in use by process "
    )
    assert {run["status"] for run in found.values()} == {"finished"}
    assert "mt/seed1 failed: " in (tmp_path / "study/study.md").read_text()
    mended = tartan("study", *one_arm)
    assert mended.status == 0
    assert "1 finished, 1 to do" in mended.out
    assert {run["status"] for run in results(tmp_path / "study")["runs"]} == {"finished"}


def test_joblib_spreads_the_runs_over_cores(
    whole: Path, tartan: Callable[..., Answer], tmp_path: Path
):
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    answer = tartan("study", *TINY, "study.dir=spread", *launcher)
    assert answer.status == 0, answer.err
    same(tmp_path / "spread", whole)


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
    """joblib is told to use no core."""
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
         "tartan: arm dapt: objective dapt reads the domain corpus, which demo lacks: add a "
         "domain.txt, one passage a line, or leave the objective out\n"),
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
