"""Long texts from the command line, and from the exported model by plain transformers."""

import json

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from support.command import SMALL, write_task
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


def test_batches_are_limited_by_tokens(tartan, tmp_path):
    long_task(tmp_path / "task")
    answer = tartan(
        "run", *LONG, "run_dir=out", "objectives=[mlm]", "objectives.mlm.max_tokens=40", "steps=4"
    )
    assert answer.status == 0, answer.err
    answer = tartan("run", *LONG, "run_dir=no", "objectives=[mlm]", "objectives.mlm.max_tokens=0")
    assert (answer.status, answer.err) == (
        2,
        "tartan: objectives.mlm.max_tokens must be at least 1, got 0.\n",
    )
