"""Long texts from the command line, and from the exported model by plain transformers."""

import itertools
import json
import shutil

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from support.command import SMALL, summary, write_task
from support.runs import differences, newest, resuming
from tartan.quiet import quiet

LONG = ["data=jsonl", "data.dir=task", *(each for each in SMALL if not each.startswith("data."))]


def long_task(directory):
    return write_task(
        directory,
        **{
            split: [
                {"text": " ".join([word, *["filler"] * n, word, split]), "label": word}
                for n in (1, 9, 30)
                for word in ("red", "blue")
            ]
            for split in ("train", "dev", "test")
        },
    )


@pytest.mark.parametrize("long", ["head_tail", "chunks"])
def test_a_run_reads_them_and_says_so(long, tartan, tmp_path):
    long_task(tmp_path / "task")
    answer = tartan(
        "run", *LONG, f"model.long={long}", "model.max_length=16", "run_dir=out",
        "objectives=[mlm,supcon]", "weighting=meta", "steps=4",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    assert f"Long texts are read by model.long={long}." in answer.out
    if long == "head_tail":
        return
    directory = tmp_path / "out/model"
    lines = [json.loads(line) for line in (tmp_path / "out/predictions-dev.jsonl").open()]
    tokenizer = AutoTokenizer.from_pretrained(directory)
    with quiet(), torch.no_grad():
        model = AutoModelForSequenceClassification.from_pretrained(directory).eval()
        for line in lines:
            encoded = tokenizer(
                line["text"],
                truncation=True,
                return_overflowing_tokens=True,
                padding=True,
                return_tensors="pt",
            )
            encoded.pop("overflow_to_sample_mapping")
            probabilities = model(**encoded).logits.mean(0).softmax(0)
            label = model.config.label2id[line["predicted"]]
            assert probabilities.argmax() == label
            assert float(probabilities[label]) == pytest.approx(line["probability"], abs=2e-6)


def test_chunks_of_pairs_are_refused(tartan, tmp_path):
    splits = {
        split: [{"text": f"{split} {n}", "text_pair": "b", "label": n} for n in ("x", "y")]
        for split in ("train", "dev", "test")
    }
    write_task(tmp_path / "task", **splits)
    answer = tartan("run", *LONG, "model.long=chunks", "run_dir=out")
    assert answer.status == 2
    assert "model.long=chunks reads single texts, and the data has pairs of texts" in answer.err
    assert not (tmp_path / "out").exists()


def test_batches_of_each_objective_are_limited_by_tokens_and_resume_exactly(tartan, tmp_path):
    long_task(tmp_path / "task")
    options = [
        *LONG, "objectives=[mlm]", "primary.max_tokens=50", "objectives.mlm.max_tokens=40",
        "accumulate=2", "schedule.stages.joint.epochs=3", "eval.every=1", "checkpoint.every=1",
        "checkpoint.keep=100",
    ]  # fmt: skip
    answer = tartan("run", "run_dir=whole", *options)
    assert answer.status == 0, answer.err
    assert "classification up to 100 tokens a step; mlm up to 80 tokens a step" in answer.out
    whole = summary(tmp_path / "whole")
    steps = whole["steps"]
    seen = [each["primary_examples"] for each in whole["evaluations"]]
    assert len(seen) == steps
    # Rows have 4, 12 or 33 tokens: two of the longest do not fit into a micro-batch.
    assert all(2 <= after - before <= 8 for before, after in itertools.pairwise([0, *seen]))
    assert whole["primary_examples"] == seen[-1]
    assert "joint 5 steps" in answer.out
    assert seen[4] == 3 * 6, "5 steps of 2 micro-batches are the 3 epochs"
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    (tmp_path / "cut/summary.json").unlink()
    for step in range(steps // 2, steps + 1):
        shutil.rmtree(tmp_path / f"cut/checkpoints/checkpoint-{step}", ignore_errors=True)
    assert newest(tmp_path / "cut") == steps // 2 - 1 > 0
    with resuming(tmp_path / "cut"):
        assert tartan("run", "run_dir=cut", *options).status == 0
    assert differences(tmp_path / "whole", tmp_path / "cut") == []


@pytest.mark.parametrize("option", ["primary.max_tokens", "objectives.mlm.max_tokens"])
def test_a_limit_below_one_token_is_refused(option, tartan, tmp_path):
    long_task(tmp_path / "task")
    answer = tartan("run", *LONG, "run_dir=no", "objectives=[mlm]", f"{option}=0")
    assert (answer.status, answer.err) == (2, f"tartan: {option} must be at least 1, got 0.\n")
