"""predict for several labels a text, and for long texts in chunks."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import tartan as library
from support.command import SMALL, Answer, summary, write_task
from support.inference import evaluated, read_csv, trained

Tartan = Callable[..., Answer]


def test_several_labels_a_text_are_predicted_by_the_models_threshold(
    tartan: Tartan, tmp_path: Path
):
    rows = {
        split: [
            {"text": f"red {other} {split}{n}", "label": ["warm", *labels]}
            for n in range(6)
            for other, labels in (("sky", []), ("blue", ["cold"]))
        ]
        for split in ("train", "dev", "test")
    }
    write_task(tmp_path / "task", **rows)
    run = trained(tmp_path, "primary=multilabel", "steps=30")
    (tmp_path / "texts.txt").write_text("red sky\nred blue\n")
    assert tartan("predict", str(run), "texts.txt", "out.csv").status == 0
    found = library.Run(run)
    threshold = found.model.config.threshold
    for row in read_csv(tmp_path / "out.csv"):
        shares = {label: float(row[f"probability_{label}"]) for label in ("cold", "warm")}
        predicted = json.loads(row["predicted"])
        for label, share in shares.items():
            if abs(share - threshold) > 1e-5:  # the threshold is a probability of dev, unrounded
                assert (label in predicted) is (share >= threshold)
        batch = found.tokenizer(row["text"], return_tensors="pt")
        with torch.no_grad():
            expected = found.model(**batch).logits[0].sigmoid().tolist()
        assert list(shares.values()) == pytest.approx(expected, abs=2e-6)
    evaluation = evaluated(tartan, run, tmp_path / "task/test.jsonl")
    scores = {name: metric["value"] for name, metric in evaluation["metrics"].items()}
    assert scores == pytest.approx(summary(run)["test"], abs=1e-6)
    assert evaluation["confusion"] is None
    assert sum(each["count"] for each in evaluation["calibration"]["bins"]) == 2 * 12


def test_labels_and_columns_are_read_as_in_training(tartan: Tartan, tmp_path: Path):
    labels = {"red": "warm, bright", "blue": "cold", "violet": "warm, bright;cold"}
    rows = [f'{word} {n},"{labels[word]}"' for n in range(12) for word in labels]
    for split in ("train", "dev", "test"):
        lines = [f"{split} {row}" for row in rows]
        (tmp_path / f"{split}.csv").write_text("\n".join(["title,labels", *lines]))
    more = ["title,labels,description", *(f"{row},another text" for row in rows[:2])]
    (tmp_path / "more.csv").write_text("\n".join(more))
    options = [text for text in SMALL if not text.startswith("data.")]
    task = ["primary=multilabel", "data=files", "data.path=.", "run_dir=out"]
    assert tartan("run", *task, *options).status == 0
    answer = tartan("evaluate", "out", "more.csv", "resamples=2")
    assert (answer.status, answer.err) == (0, "")
    assert "(text from 'title', label from 'labels')" in answer.out
    (tmp_path / "texts.csv").write_text("description,title\nanother text,red\n")
    answer = tartan("predict", "out", "texts.csv", "predictions.csv")
    assert answer.out.endswith("(text from 'title'): predictions.csv\n")


def test_chunks_of_long_texts_count_by_their_mean(tartan: Tartan, tmp_path: Path):
    write_task(tmp_path / "task")
    run = trained(tmp_path, "model.long=chunks", "model.max_length=8", "model.max_chunks=3")
    text = "red red blue sky number 3 of the long text"
    (prediction,) = library.Run(run).predict([text])
    found = library.Run(run)
    parts = found.tokenizer(
        text, truncation=True, max_length=8, return_overflowing_tokens=True, padding=True,
        return_tensors="pt",
    )  # fmt: skip
    assert 1 < len(parts["input_ids"]) <= 3
    with torch.no_grad():
        logits = found.model(parts["input_ids"], parts["attention_mask"]).logits
    expected = logits.mean(0).softmax(0).tolist()
    assert list(prediction["probabilities"].values()) == pytest.approx(expected, abs=2e-6)
    scores = evaluated(tartan, run, tmp_path / "task/test.jsonl")["metrics"]
    assert scores["accuracy"]["value"] == summary(run)["test"]["accuracy"]
    (tmp_path / "texts.txt").write_text(text)
    for model in (run, run / "model"):  # the model alone reads long texts as its run does
        out = tmp_path / f"{model.name}.csv"
        assert tartan("predict", str(model), "texts.txt", str(out)).status == 0
        (row,) = read_csv(out)
        shares = [float(value) for key, value in row.items() if key.startswith("probability_")]
        assert shares == pytest.approx(expected, abs=2e-6)
    assert "takes the mean of the outputs" in (run / "model/README.md").read_text()
