"""Several runs on several processes: a sweep under a launcher, and studies."""

import os
import tempfile
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

import pytest

from support.command import SMALL, Answer, records, summary
from support.ranks import errors, launch
from support.studies import TINY
from tartan.study.environments import environments
from tartan.study.process import apart

TWO = ["study.arms=[finetune]", "study.seeds=1", "accumulate=2", "batch_size=4"]


@pytest.fixture(autouse=True)
def empty_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def forget_server(rank: int) -> None:
    """Forget the fork server of the process that this one was forked from."""
    forkserver._forkserver._forkserver_pid = None


def test_the_jobs_of_a_sweep_are_run_by_all_processes_one_after_the_other():
    sweep = ["run", "-m", *SMALL, "steps=2", "accumulate=2", "seed=0,1", "hydra.sweep.dir=sweep"]
    first, second = launch(*sweep, size=2, said=Path("said"))
    assert (first.status, second.status) == (0, 0), first.err + second.err
    assert second.out == ""
    runs = sorted(path.parent for path in Path("sweep").glob("*/summary.json"))
    assert [path.name for path in runs] == ["seed=0", "seed=1"]
    for path in runs:
        assert summary(path)["identity"]["parts"]["environment"]["processes"] == "2"
        assert len(list(path.glob("model/*.safetensors"))) == 1

    refused = launch(*sweep, "hydra/launcher=joblib", size=2, said=Path("said"))
    assert [answer.status for answer in refused] == [2, 2]
    assert errors(refused) == (
        "tartan: hydra/launcher=joblib: the processes of a launcher run a sweep's jobs together, "
        "one after the other; leave it out, or start the sweep without the launcher\n"
    )


def test_each_run_of_a_study_has_its_processes_with_a_launcher_or_without(
    tartan: Callable[..., Answer],
):
    answer = tartan("study", *TINY, *TWO, "study.processes=2", "study.dir=alone")
    assert answer.status == 0, answer.err
    command = ["study", *TINY, *TWO, "study.dir=launched"]
    first, second = launch(*command, size=2, said=Path("said"), prepare=forget_server)
    assert (first.status, second.status, second.out) == (0, 0, ""), first.err
    for name in ("alone", "launched"):
        run = Path(name, "finetune/seed0")
        assert summary(run)["identity"]["parts"]["environment"]["processes"] == "2"
        assert records(run) == records(Path("alone/finetune/seed0"))
        assert "best model" in run.with_suffix(".log").read_text()


def test_what_does_not_fit_the_processes_is_refused_in_one_line(tartan: Callable[..., Answer]):
    refused = launch("study", *TINY, *TWO, "study.processes=3", size=2, said=Path("said"))
    assert errors(refused) == (
        "tartan: study.processes=3, and the launcher started 2 processes: give one of the two\n"
    )
    answer = tartan("study", *TINY, *TWO, "study.processes=3")
    assert answer.status == 2
    assert answer.err == (
        "tartan: arm finetune: accumulate=2 cannot be divided among 3 processes: "
        "start 2 processes\n"
    )
    assert not Path("study").exists()


def test_runs_side_by_side_use_different_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,7")
    with environments(1) as (one,):
        assert apart(os.getenv, "CUDA_VISIBLE_DEVICES", environments=[one]) == "4"
        with environments(2) as two:
            assert [place["CUDA_VISIBLE_DEVICES"] for place in two] == ["5,7"] * 2
            assert [place["LOCAL_RANK"] for place in two] == ["0", "1"]
            with environments(1) as (shared,):  # all are in use: the first one has two runs
                assert shared == {"CUDA_VISIBLE_DEVICES": "4"}
    with environments(1) as (again,), environments(3) as every:
        assert again == {"CUDA_VISIBLE_DEVICES": "4"}
        assert "CUDA_VISIBLE_DEVICES" not in every[0]  # it sees all
