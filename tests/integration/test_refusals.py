"""Bad input: one clear line, exit status 2, no traceback, nothing half-written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.command import SMALL, Answer, write_task

Tartan = Callable[..., Answer]
ROWS = [{"text": "red one", "label": "warm"}, {"text": "blue two", "label": "cold"}]


def refused(answer: Answer, line: str, directory: Path) -> None:
    assert line in answer.refusal()
    left = [path for path in directory.rglob("*") if "data" not in path.parts]
    assert left == [], "something was written"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["objectives=[mln]"], "objectives=mln: no such option; did you mean 'mlm'?"),
        (["objectives=[qqqq]"], "objectives=qqqq: no such option; choose from: aang, bow, "
         "classification_aux, "),
        (["weighting=mta"], "weighting=mta: no such option; did you mean 'meta'?"),
        (
            ["objectives=[composed]", "objectives.composed.output=next"],
            "objectives.composed: transform=bert, attention=both and output=next cannot be "
            "combined: each token sees the next one: set attention=left_to_right, right_to_left or "
            "random.",
        ),
        (["weightng=meta"], "weightng: no such option; did you mean 'weighting'?"),
        (["+weightng=meta"], "weightng: no such option; did you mean 'weighting'?"),
        (["data=dmo"], "data=dmo: no such option; did you mean 'demo'?"),
        (["model=tny"], "model=tny: no such option; did you mean 'tiny'?"),
        (["schedule=jointly"], "schedule=jointly: no such option; did you mean 'joint'?"),
        (["cuda_graphs=true"], "cuda_graphs=true needs a CUDA device and precision=bf16, not cpu "
         "and "),
        (["steps=many"], "steps must be a whole number, got many: write steps=400, for example"),
        (["steps=0"], "steps must be at least 1, got 0."),
        (["batch_size=-1"], "batch_size must be at least 1, got -1."),
        (["eval.every=0"], "eval.every must be at least 1, got 0."),
        (["weighting=meta", "weighting.lrr=1"], "weighting.lrr: no such option; did you mean"),
        (["weighting=meta", "weighting.probe.step=1"], "weighting.probe.step: no such option; did "
         "you mean 'steps'?"),
        (["weighting=meta", "weighting.probe.split=tset"], "weighting.probe.split=tset: "),
        (["weighting=meta", "weighting.similarity=cosin"], "weighting.similarity=cosin: did you"),
        (["objectives=[mlm]", "objectives.mlm.mask_prb=1"], "did you mean 'mask_prob'?"),
        (["objectives=[mlm]", "objectives.mlm.mask_prob=2"], "mask_prob must be in (0, 1], got 2"),
        (["objectives=[mlm]", "objectives.tapt.mask_prob=.2"], "objectives.tapt.mask_prob: 'tapt' "
         "is not selected; add it: 'objectives=[mlm,tapt]'"),
        (["objectives=[mlm]", "objectives.mlm.corpus=domain"], "objective mlm reads the domain "
         "corpus, which demo lacks: give data.domain=PATH"),
        (["objectives=[dapt]"], "objective dapt reads the domain corpus, which demo lacks"),
        (["schedule=pretrain"], "schedule.stages.pretrain.objectives is 'auxiliary', but "
         "the run has no auxiliary objectives: name some"),
        (["weighting.weights={classification: 1, mln: 1}", "objectives=[mlm]"], "did you mean "
         "'mlm'?"),
        (["weighting.weights.mln=1", "objectives=[mlm]"], "did you mean 'mlm'?"),
        (["eval.metric=macrof1"], "eval.metric=macrof1: did you mean 'macro_f1'?"),
        (["precision=fp31"], "precision=fp31: did you mean 'fp32'?"),
        (["device=warp"], "device=warp cannot be used here"),
        (["device=meta"], "device=meta cannot be used here"),
        (["model=auto"], "model.name is empty"),
        (["model=auto", "model.name=./nowhere"], "./nowhere: there is no such directory"),
        (["weighting=meta", "weighting.lr=nan"], "weighting.lr=nan: give a finite number"),
        (["weighting.weights={classification: inf}"], "weighting.weights.classification=inf: give "
         "a finite number"),
        (["schedule=finetune", "objectives=[mlm]", "objectives.mlm.mask_prob=nan"],
         "objectives.mlm.mask_prob=nan: give a finite number"),
        (["weighting=meta", "weighting.probe.lr=-1"],
         "weighting.probe.lr must be at least 0 and finite, got -1.0."),
        (["weighting=meta", "weighting.probe.dropout=1.5"],
         "weighting.probe.dropout must be in [0, 1), got 1.5."),
        (["weighting=meta", "weighting.probe.split=train", "weighting.probe.held_out=.005"],
         "weighting.probe.split=train has 0 rows: the dev gradient needs at least 2"),
        (["primary.label_smoothing=2"], "primary.label_smoothing must be in [0, 1), "
         "got 2.0"),
        (["weighting.weights={classification: 0}"], "weighting.weights "
         "are all 0 for classification: give at least one objective that is trained a weight"),
        (["optimizer.beta1=2"], "tartan: optimizer.beta1 must be in [0, 1), got 2.0."),
        (["seed=0,1"], "'seed=0,1' is several runs: add -m to start them"),
        (["-m", "seed=0,abc"], "seed must be a whole number, got abc"),
        (["-m", "seed=0,1", "run_dir=x"], "run_dir belongs to a single run: with -m, give "
         "hydra.sweep.dir"),
        (["optimizer.body_lr=-1"],
         "tartan: optimizer.body_lr must be at least 0 and finite, got -1.0."),
        (["on_nonfinite=skp"], "on_nonfinite=skp: did you mean 'skip'?"),
        (["report_examples=-1"], "report_examples must be at least 0, got -1."),
        (["max_skipped=-1"], "max_skipped must be at least 0, got -1."),
        (["resume=nowhere"], "resume=nowhere: no run is there"),
        (["data=jsonl"], "data.dir"),
        (["data=jsonl", "data.dir=nowhere"], "nowhere"),
        (["seed"], "'seed' is not an override: write name=value"),
        (["--experimental-rerun=x.pickle"], "loads a pickle, which is never done"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_one_line(
    tartan: Tartan, tmp_path: Path, arguments: list[str], line: str
):
    refused(tartan("run", *arguments), line, tmp_path)


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"train": '{"text": "a b", "label": "x"}\n{"text": "c'}, "train.jsonl:2"),
        ({"train": [{"text": "a"}, *ROWS]}, "train.jsonl:1"),
        ({"train": [*ROWS, {"txt": "a", "label": "warm"}]}, "train.jsonl:3"),
        ({"dev": [*ROWS, {"text": "a", "label": "wram"}]}, "dev.jsonl:3"),
        ({"dev": [*ROWS, {"text": "a", "label": "wram"}]}, "did you mean 'warm'?"),
        ({"test": [{"text": "a", "label": "hot"}]}, "test.jsonl:1"),
        ({"test": ""}, "test.jsonl"),
        ({"train": [ROWS[0]]}, "train"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(
    tartan: Tartan, tmp_path: Path, files: dict[str, object], line: str
):
    write_task(tmp_path / "data", **files)  # type: ignore[arg-type]
    refused(tartan("run", "data=jsonl", "data.dir=data", *SMALL[:9]), line, tmp_path)


def test_a_directory_that_was_there_stays(tartan: Tartan, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    assert tartan("run", "run_dir=mine", "steps=0").status == 2
    for option in ("run_dir", "hydra.run.dir"):
        typed = f"{option}=mine/deeper/still"
        assert tartan("run", typed, "data=jsonl", "data.dir=no").status == 2
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]


def test_a_run_directory_that_is_a_file_is_one_line(tartan: Tartan, tmp_path: Path):
    (tmp_path / "file").write_text("something")
    for option in ("run_dir", "hydra.run.dir"):
        line = f"tartan: {option}=file/below: {tmp_path / 'file'} is a file; give a directory\n"
        assert tartan("run", f"{option}=file/below").refusal() == line
    assert (tmp_path / "file").read_text() == "something"


def test_losses_that_are_no_longer_finite_are_one_line(tartan: Tartan, tmp_path: Path):
    """What was written stays, and is JSON."""
    wild = ["optimizer.body_lr=1e30", "optimizer.head_lr=1e30", "optimizer.clip=0"]
    answer = tartan("run", "run_dir=out", "schedule=finetune", *SMALL, *wild)
    assert answer.status == 2
    assert "classification: the loss is nan at step 2, on rows 0, 1, 2, " in answer.err
    assert "lower optimizer.body_lr and optimizer.head_lr" in answer.err
    assert "NaN" not in (tmp_path / "out/metrics.jsonl").read_text()
    assert not (tmp_path / "out/summary.json").exists()


def test_a_missing_file_is_named(tartan: Tartan, tmp_path: Path):
    (write_task(tmp_path / "data") / "dev.jsonl").unlink()
    refused(tartan("run", "data=jsonl", "data.dir=data", *SMALL[:9]), "dev.jsonl", tmp_path)


def test_a_refusal_is_the_same_from_a_shell(spawn: Callable[..., object], tmp_path: Path):
    process = spawn("run", "objectives=[mln]")
    out, err = process.communicate(timeout=120)  # type: ignore[attr-defined]
    assert process.returncode == 2  # type: ignore[attr-defined]
    assert err == "tartan: objectives=mln: no such option; did you mean 'mlm'?\n"
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_command_is_one_line(tartan: Tartan, tmp_path: Path):
    refused(tartan("rnu"), "'rnu' is not a command: did you mean 'run'?", tmp_path)
