"""A run that is killed resumes, and ends as if nothing had happened."""

import json
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from safetensors.torch import load_file

from support.checkpoints import edit_json
from support.command import SMALL, Answer, summary, write_task
from support.process import Forked
from support.runs import cut, differences, newest, resuming
from tartan.train.manifest import seal

Tartan = Callable[..., Answer]
COMMON = ["objectives=[mlm]", "weighting=meta", *SMALL, "steps=40", "checkpoint.every=5"]


def same(one: Path, other: Path) -> None:
    """Two runs ended alike: metrics to the byte, results, parameters."""
    assert (one / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()
    for key in ("dev", "test", "best_step", "steps", "weights"):
        assert summary(one)[key] == summary(other)[key]
    weights = [load_file(run / "model/model.safetensors") for run in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])


@pytest.mark.parametrize(
    "command",
    [
        COMMON,
        pytest.param(
            ["objectives=[mlm,clm,sop]", "weighting=bandit", *COMMON[2:]], marks=pytest.mark.slow
        ),
    ],
    ids=["all objectives", "sampled objectives"],
)
def test_a_killed_run_ends_as_an_undisturbed_one(
    tartan: Tartan, tmp_path: Path, command: Sequence[str]
):
    assert tartan("run", "run_dir=whole", *command).status == 0
    process = Forked("run", "run_dir=killed", *command)
    checkpoints = tmp_path / "killed/checkpoints"
    while not list(checkpoints.glob("checkpoint-[1-3]*")):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed/summary.json").exists()
    assert newest(tmp_path / "killed") > 0
    with resuming(tmp_path / "killed"):
        assert tartan("run", "run_dir=killed", *command).status == 0
    same(tmp_path / "whole", tmp_path / "killed")


def test_a_run_is_gone_on_with_by_its_directory(tartan: Tartan, tmp_path: Path):
    """What is left of an interrupted run: its checkpoint, and metrics that went on after it."""
    assert tartan("run", "run_dir=whole", *COMMON).status == 0
    assert tartan("run", "run_dir=cut", *COMMON, "checkpoint.keep=100").status == 0
    cut = tmp_path / "cut"
    (cut / "summary.json").unlink()
    for checkpoint in cut.glob("checkpoints/checkpoint-*"):
        progress = json.loads((checkpoint / "progress.json").read_text())
        if progress["step"] > 15:
            for path in sorted(checkpoint.iterdir()):
                path.unlink()
            checkpoint.rmdir()
    assert newest(cut) == 15
    with resuming(cut):
        answer = tartan("run", "resume=cut", *COMMON, "checkpoint.keep=100", "run_dir=elsewhere")
        assert answer.status == 0, answer.err
    same(tmp_path / "whole", cut)
    assert not (tmp_path / "elsewhere").exists()


def test_a_finished_run_is_not_run_again(tartan: Tartan, tmp_path: Path):
    first = tartan("run", "run_dir=out", *SMALL)
    before = (tmp_path / "out/summary.json").read_bytes()
    again = tartan("run", "run_dir=out", *SMALL)
    assert again.status == 0
    assert again.out.splitlines()[-3:] == first.out.splitlines()[-3:]
    assert (tmp_path / "out/summary.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            ["seed=7"],
            "another configuration (seed differ), and it is complete. Choose another run_dir",
        ),
        (["weighting=meta", "steps=9"], "steps, weighting."),
        (["resume=never"], "already has a run. Choose another run_dir, or set resume=auto"),
    ],
)
def test_another_configuration_is_refused_and_nothing_lost(
    tartan: Tartan, tmp_path: Path, change: list[str], line: str
):
    tartan("run", "run_dir=out", *SMALL)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    answer = tartan("run", "run_dir=out", *SMALL, *change)
    assert answer.status == 2
    assert line in answer.err
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_data_that_changed_since_is_refused(tartan: Tartan, tmp_path: Path):
    data = write_task(tmp_path / "data")
    command = ["run", "data=jsonl", "data.dir=data", "run_dir=out", *SMALL[:9]]
    assert tartan(*command).status == 0
    (tmp_path / "out/summary.json").unlink()
    with (data / "train.jsonl").open("a") as file:
        file.write('{"text": "red and late", "label": "warm"}\n')
    answer = tartan(*command)
    assert answer.status == 2
    assert "out: data (task), data (train), tokenizer changed since checkpoint-" in answer.err


def test_data_of_an_auxiliary_objective_that_changed_since_is_refused(
    tartan: Tartan, tmp_path: Path
):
    """Unless the run is told to go on with it, which its summary keeps."""
    write_task(tmp_path / "data")
    other = write_task(tmp_path / "other")
    command = [
        "run", "data=jsonl", "data.dir=data", "objectives=[classification_aux]", "run_dir=out",
        "objectives.classification_aux.data.dir=other", *SMALL[:9],
    ]  # fmt: skip
    assert tartan(*command).status == 0
    (tmp_path / "out/summary.json").unlink()
    with (other / "train.jsonl").open("a") as file:
        file.write('{"text": "red and late", "label": "warm"}\n')
    answer = tartan(*command)
    assert answer.status == 2
    assert "data (objectives.classification_aux) changed since checkpoint-15 was" in answer.err
    assert tartan(*command, "resume_changed=true").status == 0
    (change,) = summary(tmp_path / "out")["changes"]
    assert (change["step"], change["changed"]) == (15, ["data (objectives.classification_aux)"])


def test_a_run_goes_on_with_another_configuration_when_told_so(tartan: Tartan, tmp_path: Path):
    """From where it was; what changed is said, kept, and what it is from then on."""
    tartan("run", "run_dir=out", *SMALL)
    (tmp_path / "out/summary.json").unlink()
    for checkpoint in tmp_path.glob("out/checkpoints/checkpoint-*"):
        if checkpoint.name != "checkpoint-6":
            shutil.rmtree(checkpoint)
    change = ["eval.batch_size=5", "primary.batch_size=6"]
    change += ["schedule.stages.finetune.epochs=2"]
    answer = tartan("run", "run_dir=out", *SMALL, *change)
    assert answer.status == 2
    keys = ["eval.batch_size", "primary.batch_size", "schedule.stages.finetune.epochs"]
    assert f"({', '.join(keys)} differ)" in answer.err
    assert "or set resume_changed=true to resume with the new one" in answer.err
    answer = tartan("run", "run_dir=out", *SMALL, *change, "resume_changed=true")
    assert answer.status == 0, answer.err
    assert f"resumes from step 6 with changes: {', '.join(keys)}\n" in answer.out
    values = {keys[0]: [64, 5], keys[1]: [8, 6], keys[2]: [10.0, 2.0]}
    (kept,) = summary(tmp_path / "out")["changes"]
    assert kept == {"step": 6, "changed": keys, "values": values}
    steps = 6 + 2 * 24 // 6
    assert summary(tmp_path / "out")["steps"] == steps
    assert summary(tmp_path / "out")["primary_examples"] == steps * 6  # by the new batch size
    assert tartan("run", "run_dir=out", *SMALL, *change).status == 0
    again = tartan("run", "run_dir=out", *SMALL, "resume_changed=true")
    assert again.status == 2
    assert "differ), and it is complete. Choose another run_dir" in again.err


def test_with_another_metric_or_other_rows_of_dev_the_best_model_is_chosen_again(
    tartan: Tartan, tmp_path: Path
):
    """A value of accuracy says nothing of values of macro-F1, or of values on other rows."""
    run = ["run", "schedule=finetune", "objectives=[]", *SMALL, "checkpoint.every=3"]
    run += ["eval.every=3", "eval.patience=0", "steps=9", "checkpoint.keep=9"]
    assert tartan(*run, "run_dir=whole", "eval.metric=accuracy").status == 0
    for metric, change in {"macro_f1": [], "accuracy": ["data.dev=12"]}.items():
        place = cut(tmp_path / "whole", metric, "checkpoint-6")
        progress = place / "checkpoints/checkpoint-6/progress.json"
        edit_json(progress, best=2.0)  # more than any value can be
        (progress.parent / "manifest.json").unlink()
        seal(progress.parent)
        command = [*run, f"run_dir={metric}", f"eval.metric={metric}", *change]
        answer = tartan(*command, "resume_changed=true")
        assert answer.status == 0, answer.err
        found = summary(place)
        assert (found["metric"], found["best_step"]) == (metric, 9)


def test_objectives_in_another_order_do_not_get_each_others_state(tartan: Tartan, tmp_path: Path):
    run = ["run", "run_dir=out", "weighting=meta", *SMALL, "checkpoint.every=3"]
    assert tartan(*run, "objectives=[mlm,tapt]", "checkpoint.keep=9").status == 0
    kept = cut(tmp_path / "out", "cut", "checkpoint-3")
    run = ["run", "run_dir=cut", *run[2:], "objectives=[tapt,mlm]", "checkpoint.keep=9"]
    assert "(objectives (order) differ)" in tartan(*run).refusal()
    assert tartan(*run, "resume_changed=true").refusal() == (
        f"tartan: {kept}/checkpoints/checkpoint-3 is of another model or schedule (it trains "
        "classification, mlm, tapt, in this order). Give its configuration to resume it, or "
        "choose another run_dir\n"
    )


PRETRAIN = ["objectives=[tapt]", *SMALL, "checkpoint.every=2", "checkpoint.keep=100"]


def curve(run: Path) -> list[tuple[int, int]]:
    """A run's evaluations: the step, and the rows of the end task until then."""
    return [(one["step"], one["primary_examples"]) for one in summary(run)["evaluations"]]


def test_a_stage_that_is_complete_keeps_its_steps_where_the_schedule_changes(
    tartan: Tartan, tmp_path: Path
):
    """The end task's batches and rows do not depend on what the stage before it would take now."""
    assert tartan("run", "run_dir=whole", "schedule=pretrain", *PRETRAIN).status == 0
    assert curve(tmp_path / "whole") == [(9, 24), (12, 48)]
    cut(tmp_path / "whole", "shorter", "checkpoint-8")
    changed = ["schedule.stages.pretrain.steps=5", "resume_changed=true"]
    answer = tartan("run", "run_dir=shorter", "schedule=pretrain", *PRETRAIN, *changed)
    assert answer.status == 0, answer.err
    assert differences(tmp_path / "whole", tmp_path / "shorter") == ["changes"]
    assert curve(tmp_path / "shorter") == [(9, 24), (12, 48)]
    assert summary(tmp_path / "shorter")["primary_examples"] == 48


def test_a_run_resumes_with_a_schedule_that_lacks_a_stage_of_before(tartan: Tartan, tmp_path: Path):
    """Its evaluations belong to a stage of a name that is now unknown."""
    assert tartan("run", "run_dir=whole", "schedule=paired_pretrain", *PRETRAIN).status == 0
    cut(tmp_path / "whole", "out", "checkpoint-10")
    command = ["run", "run_dir=out", "schedule=pretrain", *PRETRAIN, "resume_changed=true"]
    answer = tartan(*command)
    assert answer.status == 0, answer.err
    assert summary(tmp_path / "out")["stages"] == {"pretrain": "auxiliary", "finetune": "primary"}
    assert curve(tmp_path / "out") == [(9, 24), (12, 48)]


def test_a_stage_that_resumes_with_fewer_steps_than_it_took_ends_as_stages_end(
    tartan: Tartan, tmp_path: Path
):
    """With a line of metrics and an evaluation of its last step, which is the best."""
    run = ["schedule=finetune", "objectives=[]", *SMALL, "checkpoint.every=4", "checkpoint.keep=9"]
    rare = ["eval.every=100", "log.every=100"]
    assert tartan("run", "run_dir=whole", *run, *rare, "steps=6").status == 0
    for steps in (3, 4):
        cut(tmp_path / "whole", f"to{steps}", "checkpoint-4")
        changed = [f"steps={steps}", "resume_changed=true"]
        assert tartan("run", f"run_dir=to{steps}", *run, *rare, *changed).status == 0
        assert [step for step, _ in curve(tmp_path / f"to{steps}")] == [4]
        assert summary(tmp_path / f"to{steps}")["best_step"] == 4
        (line,) = (tmp_path / f"to{steps}/metrics.jsonl").read_text("utf-8").splitlines()
        assert {"step", "train/loss/classification", "eval/macro_f1"} <= json.loads(line).keys()


def test_a_run_whose_steps_are_all_taken_does_not_claim_others(tartan: Tartan, tmp_path: Path):
    """Evaluation and export, which it still lacks, may have options of their own."""
    run = ["run", "run_dir=out", *SMALL]
    assert tartan(*run).status == 0
    (tmp_path / "out/summary.json").unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for allowed in ("false", "true"):
        answer = tartan(*run, "steps=9", "eval.batch_size=5", f"resume_changed={allowed}")
        assert answer.refusal() == (
            f"tartan: {tmp_path / 'out'} has a run of another configuration "
            "(schedule.stages.finetune.steps, schedule.stages.joint.steps, steps differ), and all "
            "of its steps are taken. Give the same one to evaluate and export its model, or choose "
            "another run_dir\n"
        )
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    late = ["eval.batch_size=5", "precision=bf16", "tf32=true", "compile=false"]
    with resuming(tmp_path / "out"):
        assert tartan(*run, *late, "resume_changed=true").status == 0
    (change,) = summary(tmp_path / "out")["changes"]
    assert set(change["changed"]) == {text.partition("=")[0] for text in late}


def test_a_checkpoint_of_another_model_is_refused_and_nothing_lost(tartan: Tartan, tmp_path: Path):
    """Also when told to go on: the parameters cannot be taken over."""
    tartan("run", "run_dir=whole", *SMALL)
    cut(tmp_path / "whole", "out", "checkpoint-6")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    answer = tartan("run", "run_dir=out", *SMALL, "model.layers=2", "resume_changed=true")
    assert answer.status == 2
    assert answer.err.count("\n") == 1
    assert "is of another model or schedule (" in answer.err
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_damaged_summary_is_one_line_and_a_damaged_configuration_is_repaired(
    tartan: Tartan, tmp_path: Path
):
    tartan("run", "run_dir=out", *SMALL)
    configuration = tmp_path / "out/.hydra/config.yaml"
    before = configuration.read_text()
    configuration.write_text("{ no\n")
    answer = tartan("run", "run_dir=out", *SMALL)
    assert answer.status == 0
    assert "config.yaml could not be read and was written again" in answer.out
    assert configuration.read_text() == before
    (tmp_path / "out/summary.json").write_text("{ no\n")
    answer = tartan("run", "run_dir=out", *SMALL)
    assert answer.status == 2
    assert "summary.json" in answer.err
    assert answer.err.count("\n") == 1


def test_no_state_is_a_pickle_that_could_run_code(tartan: Tartan, tmp_path: Path):
    import torch  # noqa: PLC0415

    saving = ["checkpoint.every=2", "checkpoint.keep=99"]
    tartan("run", "objectives=[mlm]", "weighting=meta", "run_dir=out", *SMALL, *saving)
    states = [torch.load(path, weights_only=True) for path in tmp_path.rglob("*.pt")]
    assert any(state.keys() >= {"optimiser", "weighting"} for state in states)
    suffixes = {path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert suffixes <= {".pt", ".json", ".jsonl", ".yaml", ".safetensors", ".md"}
