"""Several runs of one command: names, a table, and a metric for sweepers."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from support.command import SMALL, Answer, summary

ONE = [*SMALL, "steps=2", "eval.every=1", "schedule.stages.finetune.steps=1",
       "schedule.stages.finetune.epochs=null"]  # fmt: skip


def test_directories_are_named_by_what_differs_and_a_table_ends(
    tartan: Callable[..., Answer], tmp_path: Path
):
    swept = ["seed=1,2", "weighting=static,uncertainty", "hydra.sweep.dir=swept"]
    answer = tartan("run", "-m", *ONE, "objectives=[mlm]", *swept)
    assert answer.status == 0, answer.err
    names = {path.name for path in (tmp_path / "swept").iterdir() if path.is_dir()}
    assert names == {
        f"seed={seed},weighting={name}" for seed in (1, 2) for name in ("static", "uncertainty")
    }
    with (tmp_path / "swept/sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "seed",
        "weighting",
        "dev macro_f1",
        "test macro_f1",
        "seconds",
        "directory",
    ]
    for row in rows:
        its = summary(tmp_path / "swept" / row["directory"])
        assert float(row["dev macro_f1"]) == its["dev"]["macro_f1"]
        assert row["directory"] == f"seed={row['seed']},weighting={row['weighting']}"
    values = [float(row["dev macro_f1"]) for row in rows]
    assert values == sorted(values, reverse=True)
    assert "sweep.csv" in answer.out


def test_directories_that_the_user_names_stay(tartan: Callable[..., Answer], tmp_path: Path):
    names = ["hydra.sweep.dir=swept", "hydra.sweep.subdir=run${hydra.job.num}"]
    answer = tartan("run", "-m", *ONE, "seed=1", *names)
    assert answer.status == 0, answer.err
    assert (tmp_path / "swept/run0/summary.json").is_file()


def test_optuna_maximises_the_dev_metric(tartan: Callable[..., Answer], tmp_path: Path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    answer = tartan(
        "run", "-m", "hydra/sweeper=optuna", "hydra.sweeper.direction=maximize",
        "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1", "hydra.sweep.dir=swept", *ONE,
        "optimizer.body_lr=interval(0.001,0.01)",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    found = OmegaConf.load(tmp_path / "swept/optimization_results.yaml")
    scores = [
        summary(path)["dev"]["macro_f1"] for path in (tmp_path / "swept").iterdir() if path.is_dir()
    ]
    assert len(scores) == 2
    assert found.best_value == max(scores)


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_failed_job_is_named_and_the_others_run(
    tartan: Callable[..., Answer], tmp_path: Path, launcher: str
):
    """In the process of the sweep, and in those of a launcher."""
    more = []
    if launcher == "joblib":
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
        loky = pytest.importorskip("joblib.externals.loky")
        loky.get_reusable_executor().shutdown()  # another test's are in its directory
        more = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    answer = tartan("run", "-m", *ONE, "data.labelled=6,999,12", "hydra.sweep.dir=swept", *more)
    error = (
        "data.labelled=999: demo has 24 labelled training rows: give between 1 and 24, or null "
        "for all of them"
    )
    assert answer.status == 1
    if launcher == "basic":
        assert f"tartan: swept/data.labelled=999: {error}\n" in answer.err
    assert answer.err.endswith(
        "tartan: 1 of 3 runs failed (data.labelled=999): sweep.csv has the errors; give the "
        "same command with hydra.sweep.dir=swept to try them again\n"
    )
    assert re.search(r"^ *999 +failed *$", answer.out, re.MULTILINE)
    with (tmp_path / "swept/sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["data.labelled"]: row["error"] for row in rows} == {"6": "", "12": "", "999": error}
    assert {path.name for path in (tmp_path / "swept").iterdir()} == {
        "data.labelled=6", "data.labelled=12", "multirun.yaml", "sweep.csv",
    }  # fmt: skip


def test_a_directory_with_runs_of_another_sweep(tartan: Callable[..., Answer], tmp_path: Path):
    """They stay; the table, the count and the remedy are this sweep's own."""
    sweep = ["run", "-m", *ONE, "hydra.sweep.dir=swept"]
    assert tartan(*sweep, "seed=1,2").status == 0
    answer = tartan(*sweep, "seed=2,3", "optimizer.clip=2")
    assert answer.status == 1
    assert (
        f"tartan: swept/seed=2: {tmp_path}/swept/seed=2 has a run of another configuration "
        "(optimizer.clip differ), and it is complete. Choose another hydra.sweep.dir\n"
    ) in answer.err
    assert "tartan: 1 of 2 runs failed (seed=2): sweep.csv has the errors" in answer.err
    with (tmp_path / "swept/sweep.csv").open(newline="") as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["3", "2"]
    assert {path.name for path in (tmp_path / "swept").iterdir()} == {
        "seed=1", "seed=2", "seed=3", "multirun.yaml", "sweep.csv",
    }  # fmt: skip


def test_a_failed_trial_does_not_end_the_search(tartan: Callable[..., Answer], tmp_path: Path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    answer = tartan(
        "run", "-m", "hydra/sweeper=optuna", "hydra.sweeper.sampler.seed=1",
        "hydra.sweeper.direction=maximize", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1",
        "hydra.sweep.dir=swept", *ONE, "data.labelled=choice(999,6)",
    )  # fmt: skip
    assert answer.status == 1
    assert "tartan: 1 of 2 runs failed (data.labelled=999): sweep.csv has" in answer.err
    found = OmegaConf.load(tmp_path / "swept/optimization_results.yaml")
    assert found.best_params == {"data.labelled": 6}
