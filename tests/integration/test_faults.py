"""What goes wrong in the middle of a run is told in one line, and costs nothing that was done."""

import json
import resource
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from support.command import SMALL, Answer, summary
from support.faulty import install
from support.process import answered, at_call
from support.runs import differences, newest, resuming
from tartan.plugins import discover

Tartan = Callable[..., Answer]
Fault = Callable[..., None]
RUN = ["run", "run_dir=out", "objectives=[faulty]", "weighting=balky", *SMALL, "steps=12"]


@pytest.fixture
def tartan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tartan:
    """Run a command in a process of its own, where the distribution is installed."""
    monkeypatch.chdir(tmp_path)
    site = install(tmp_path / "site")

    def prepare() -> None:
        sys.path.insert(0, str(site))
        discover.cache_clear()

    return lambda *arguments: answered(arguments, tmp_path / "said", prepare)


@pytest.fixture
def fault(tmp_path: Path) -> Fault:
    """Say what is to fail; nothing mends it."""

    def say(**told: object) -> None:
        path = tmp_path / "fault"
        path.write_text(json.dumps(told)) if told else path.unlink()

    return say


@pytest.fixture
def whole(tartan: Tartan) -> None:
    """The run as it is when nothing fails."""
    assert tartan(*RUN, "run_dir=whole").status == 0


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize(
    ("method", "place"),
    [("collate", "Faulty.collate"), ("loss", "Faulty.loss"), ("update", "Balky.update")],
)
def test_a_plugin_that_raises_is_named_and_the_run_goes_on_once_it_is_mended(
    tartan: Tartan, tmp_path: Path, fault: Fault, method: str, place: str
):
    fault(method=method, kind="raise", call=8)
    said = tartan(*RUN).refusal()
    name = "balky" if method == "update" else "faulty"
    assert f"tartan-faulty 1.2: '{name}' failed in {place} (tartan_faulty.py:" in said
    assert (
        "LookupError: no such thing (set HYDRA_FULL_ERROR=1 for the traceback); step 7 is saved"
        in said
    )
    assert newest(tmp_path / "out") == 7
    fault()
    with resuming(tmp_path / "out"):
        assert tartan(*RUN).status == 0
    assert differences(tmp_path / "whole", tmp_path / "out") == []


def test_a_plugin_that_raises_before_the_run_begins_leaves_nothing(
    tartan: Tartan, tmp_path: Path, fault: Fault
):
    fault(method="init", kind="raise")
    assert "tartan-faulty 1.2: 'faulty' failed in Faulty.__init__" in tartan(*RUN).refusal()
    assert not (tmp_path / "out").exists()


def test_hydras_variable_shows_the_traceback(
    tartan: Tartan, fault: Fault, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    fault(method="loss", kind="raise")
    said = tartan(*RUN).err
    assert 'raise LookupError("no such\\nthing")' in said
    assert said.splitlines()[-1].startswith("tartan: tartan-faulty 1.2: 'faulty' failed")


@pytest.mark.parametrize(
    ("kind", "wrong"), [("loss", "loss is nan"), ("gradient", "gradient is not finite")]
)
def test_what_is_not_finite_is_traced_to_objective_step_and_rows(
    tartan: Tartan, tmp_path: Path, fault: Fault, kind: str, wrong: str
):
    """Row 3 is in one of the first eight batches: an epoch has 64 rows."""
    fault(method="loss", kind=kind, rows=[3])
    said = tartan(*RUN).refusal()
    assert f"faulty: the {wrong} at step " in said
    assert ", on row 3 of its examples (counted from 0): lower optimizer.body_lr" in said
    assert "on_nonfinite=skip" in said
    step = int(said.split(" at step ")[1].split(",")[0])
    assert f"step {step - 1} is saved" in said
    assert not (tmp_path / "out/summary.json").exists()
    assert "NaN" not in (tmp_path / "out/metrics.jsonl").read_text()
    changed = tartan(*RUN, "on_nonfinite=skip", "resume_changed=true")
    assert changed.status == 0, changed.err
    (change,) = summary(tmp_path / "out")["changes"]
    assert (change["step"], change["changed"]) == (step - 1, ["on_nonfinite"])


def test_a_skipped_step_is_counted_and_its_weighting_does_not_learn(
    tartan: Tartan, tmp_path: Path, fault: Fault
):
    fault(method="loss", kind="loss", rows=[3])
    answer = tartan(*RUN, "on_nonfinite=skip")
    assert answer.status == 0, answer.err
    found = summary(tmp_path / "out")
    assert found["skipped_steps"] == 2  # 12 steps are an epoch and a half
    assert "on row 3 of its examples (counted from 0): skipped, 2 of at most 10" in answer.out
    # `balky` counts the steps that it has learned from, 1 at the beginning.
    steps = 12 - 2
    assert found["weights"]["classification"] == pytest.approx((1 + steps) / (2 + steps))


def test_steps_are_skipped_up_to_a_limit(tartan: Tartan, fault: Fault):
    fault(method="loss", kind="loss", rows=list(range(64)))
    said = tartan(*RUN, "on_nonfinite=skip", "max_skipped=2").refusal()
    assert "faulty: the loss is nan at step 3, on rows " in said
    assert "each of them by itself): 2 steps were skipped, the most max_skipped allows" in said


def test_memory_that_is_not_there_is_told_with_objective_batch_and_option(
    tartan: Tartan, tmp_path: Path, fault: Fault
):
    fault(method="loss", kind="allocate", call=6)
    said = tartan(*RUN).refusal()
    assert "out of memory in faulty, 8 sequences of at most " in said
    assert " tokens in all (1024 TiB more were requested, " in said
    assert "lower objectives.faulty.batch_size, which a higher accumulate makes up for" in said
    assert "step 5 is saved" in said
    fault()
    assert tartan(*RUN, "objectives.faulty.batch_size=4", "resume_changed=true").status == 0
    keys = summary(tmp_path / "out")["changes"][0]["changed"]
    assert keys == ["objectives.faulty.batch_size"]


@pytest.mark.parametrize(
    ("when", "place", "remedy"),
    [
        ("train.losses:Losses._read", "classification, 64 sequences of at most ",
         "lower primary.batch_size, which a higher accumulate makes up for, or model.max_length"),
        ("train.evaluate:predict", "evaluation, 400 sequences of at most ",
         "lower eval.batch_size or model.max_length; step 3 is saved"),
    ],
)  # fmt: skip
def test_a_process_that_may_not_have_more_memory_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, place: str, remedy: str
):
    """By the system's own limit, from a moment on."""
    monkeypatch.chdir(tmp_path)
    wide = ["model.layers=2", "model.intermediate_size=300000", "batch_size=64"]
    large = ["data.dev=400", "eval.batch_size=400"]
    command = ["run", "run_dir=out", "schedule=finetune", *SMALL, *wide, *large]
    prepare = partial(at_call, f"tartan.{when}", 1, partial(_limit, 1 << 20))
    said = answered(command, tmp_path / "said", prepare).refusal()
    assert f"out of memory in {place}" in said
    assert remedy in said


def _limit(more: int) -> None:
    """Let this process have some bytes more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bound = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
