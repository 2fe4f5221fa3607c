"""Runs whose domain corpus is a stream: what they read, and that they resume exactly."""

import json
from pathlib import Path
from random import Random

import pytest

from support.command import summary
from support.process import KILL, answered, at_call, forked
from support.runs import differences, newest, resuming

WORDS = [a + b for a in ("ba", "be", "bi", "bo", "bu") for b in ("ka", "ke", "ki", "ko", "ku")]
STEPS = 14
COMMON = [
    "run", "data=files", "data.path=rows.csv", "data.stream=true", "data.buffer=32",
    "objectives=[dapt]", "batch_size=4", f"steps={STEPS}", "eval.every=7", "log.every=1",
    "checkpoint.every=3", "precision=fp32", "device=cpu", "model.hidden_size=16",
    "model.intermediate_size=32", "model.layers=1", "schedule.stages.finetune.epochs=0.5",
    "report=false",
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with labelled rows, and a corpus of two files in `corpus`."""
    monkeypatch.chdir(tmp_path)
    rng = Random(0)
    rows = [f"{' '.join(rng.choices(WORDS, k=6))},{n % 2}" for n in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    (tmp_path / "corpus").mkdir()
    for part in ("one", "two"):
        lines = [json.dumps({"text": " ".join(rng.choices(WORDS, k=8))}) for _ in range(40)]
        (tmp_path / "corpus" / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def kill() -> None:
    """Have the process killed before its last step but one."""
    at_call("tartan.train.stage:Stage.take", STEPS - 1, KILL)


@pytest.mark.heavy
def test_a_run_that_is_killed_resumes_its_stream_exactly(place: Path):
    run = [*COMMON, "data.domain=[corpus/one.jsonl,{hub: corpus}]"]
    assert forked([*run, "run_dir=whole"]) == 0
    # 14 steps of 4 texts: the last checkpoint is in the second block of 32.
    assert forked([*run, "run_dir=killed"], kill) < 0
    assert newest(place / "killed") == 12
    with resuming(place / "killed"):
        assert forked([*run, "run_dir=killed"]) == 0
    assert differences(place / "whole", place / "killed") == []
    assert summary(place / "whole")["data"]["domain"]["rows"] is None


def test_a_run_reads_as_far_as_it_trains(place: Path):
    with (place / "corpus" / "two.jsonl").open("w") as file:
        file.writelines(f'{{"text": "ba be {n}"}}\n' for n in range(200))
        file.write("not JSON\n")
    run = [*COMMON, "data.domain=corpus/two.jsonl", "data.buffer=90", "steps=60"]
    counted = answered([*run, "data.stream=false", "run_dir=counted"], place / "said")
    assert counted.status == 2, "all of it is read before the first step"
    assert "two.jsonl:201: not JSON" in counted.err
    far = answered([*run, "run_dir=far"], place / "said")
    assert far.status == 2
    assert "two.jsonl:201: not JSON" in far.err
    assert "Traceback" not in far.err
    assert "step 45 is saved" in far.err, "two blocks of 90 are 45 steps of 4 texts"
