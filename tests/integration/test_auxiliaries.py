"""Auxiliary objectives in a run: with META, on the demo, as typed."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from support.command import SMALL, Answer, records
from support.runs import cut


@pytest.mark.parametrize("objective", ["rtd", "clm", "simcse", "supcon", "rdrop", "vat"])
def test_an_auxiliary_trains_beside_the_end_task_and_leaves_it_alone(
    objective: str, tartan: Callable[..., Answer], tmp_path: Path
):
    answer = tartan("run", *SMALL, f"objectives=[{objective}]", "weighting=meta", "run_dir=r")
    assert (answer.status, answer.err) == (0, "")
    losses = [
        record[f"train/loss/{objective}"]
        for record in records(tmp_path / "r")
        if f"train/loss/{objective}" in record
    ]
    assert len(losses) >= 3
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "r" / "model")
    with safe_open(tmp_path / "r" / "model" / "model.safetensors", "pt") as exported:
        assert set(exported.keys()) == set(model.state_dict())


def test_options_of_an_auxiliary_are_typed_as_its_own(tartan: Callable[..., Answer]):
    answer = tartan("run", *SMALL, "objectives=[rtd]", "objectives.rtd.sampling=gumble")
    assert answer.status == 2
    assert answer.err == "tartan: objectives.rtd.sampling=gumble: did you mean 'gumbel'?\n"


def test_a_seed_decides_what_is_replaced_and_what_the_generator_begins_as(
    tartan: Callable[..., Answer], tmp_path: Path
):
    for run, seed in (("one", 3), ("same", 3), ("other", 4)):
        assert (
            tartan("run", *SMALL, "objectives=[rtd]", f"seed={seed}", f"run_dir={run}").status == 0
        )
    one, same, other = (records(tmp_path / run) for run in ("one", "same", "other"))
    assert one == same
    assert one[0]["train/generator_loss/rtd"] != other[0]["train/generator_loss/rtd"]


def resumed_as_complete(
    tartan: Callable[..., Answer], tmp_path: Path, command: Sequence[str]
) -> str:
    """Run a command, and again from its checkpoint of step 2: what it printed at last."""
    answer = tartan(*command, "run_dir=complete")
    assert (answer.status, answer.err) == (0, "")
    kept = cut(tmp_path / "complete", "cut", "checkpoint-2") / "checkpoints/checkpoint-2"
    written = kept.stat().st_mtime_ns
    answer = tartan(*command, "run_dir=cut")
    assert (answer.status, answer.err) == (0, "")
    assert "2 taken" in answer.out
    assert kept.stat().st_mtime_ns == written
    assert records(tmp_path / "cut") == records(tmp_path / "complete")
    one, other = (load_file(tmp_path / r / "model/model.safetensors") for r in ("complete", "cut"))
    assert all(one[name].equal(other[name]) for name in one)
    return answer.out


def test_a_schedule_of_a_loss_and_spans_of_words_resume_exactly(
    tartan: Callable[..., Answer], tmp_path: Path
):
    command = [
        "run", *SMALL, "objectives=[mlm]", "objectives.mlm.schedule=linear",
        "objectives.mlm.scale=0.5", "objectives.mlm.masking=span", "checkpoint.every=2",
        "checkpoint.keep=99",
    ]  # fmt: skip
    resumed_as_complete(tartan, tmp_path, command)
    losses = [r["train/loss/mlm"] for r in records(tmp_path / "cut") if "train/loss/mlm" in r]
    assert losses[-1] < losses[0] / 2  # factors of 0.458 and 0.125


@pytest.mark.parametrize("weighting", ["bandit", "meta_factored"])
def test_a_run_that_samples_its_objectives_resumes_exactly(
    weighting: str, tartan: Callable[..., Answer], tmp_path: Path
):
    """Also the batches: an objective continues with the one after the last that it was given."""
    command = [
        "run", *SMALL, "objectives=[mlm,composed,sop]", f"weighting={weighting}",
        "weighting.sampled=1", "steps=10", "log.every=1", "checkpoint.every=2",
        "checkpoint.keep=99", "objectives.composed.attention=random",
        "objectives.composed.transform=none", "objectives.composed.output=next",
    ]  # fmt: skip
    assert "each on average" in resumed_as_complete(tartan, tmp_path, command)
    found = records(tmp_path / "cut")
    lines = [r for r in found if r["stage"] == "joint" and "train/active/mlm" in r]
    for line in lines:
        active = [line[f"train/active/{name}"] for name in ("mlm", "composed", "sop")]
        assert sorted(active) == [0, 0, 1]
        assert [f"train/loss/{name}" in line for name in ("mlm", "composed", "sop")] == [
            share == 1 for share in active
        ]
    assert len({tuple(line) for line in lines}) > 1  # not always the same one


@pytest.mark.parametrize("weighting", ["static", "meta"])
def test_objectives_on_the_end_tasks_head_resume_exactly_under_accumulation(
    weighting: str, tartan: Callable[..., Answer], tmp_path: Path
):
    command = [
        "run", *SMALL, "objectives=[rdrop,vat]", f"weighting={weighting}", "accumulate=2",
        "batch_size=4", "checkpoint.every=2", "checkpoint.keep=99",
    ]  # fmt: skip
    resumed_as_complete(tartan, tmp_path, command)


def test_rows_of_a_loss_that_is_not_finite_are_found_where_the_objective_calls_the_body(
    tartan: Callable[..., Answer],
):
    answer = tartan("run", *SMALL, "objectives=[rdrop]", "objectives.rdrop.alpha=1e300")
    assert answer.status == 2
    assert answer.err.startswith("tartan: rdrop: the loss is inf at step 1, on rows ")
    assert "Traceback" not in answer.err


def test_the_passes_of_a_step_are_shown_before_a_run(tartan: Callable[..., Answer]):
    answer = tartan("run", *SMALL, "objectives=[mlm,rdrop]", "steps=1")
    assert "each at most 3 forward passes, 3 backward passes and 1 copy" in answer.out


def test_an_objective_on_the_end_tasks_head_cannot_be_the_end_task(tartan: Callable[..., Answer]):
    answer = tartan("run", *SMALL, "primary=rdrop")
    assert answer.status == 2
    assert answer.err.count("\n") == 1
