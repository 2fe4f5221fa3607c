"""Inputs that once gave wrong scores, heads or predictions, from shared/faults."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from seqeval.metrics import f1_score
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from support.command import Answer, summary
from support.end_tasks import predictions
from support.shared import SHARED

Tartan = Callable[..., Answer]
FAULTS = SHARED / "faults"
RUN = ["data=jsonl", "schedule=finetune", "report=false", "run_dir=out", "device=cpu"]

pytestmark = pytest.mark.skipif(not FAULTS.is_dir(), reason="the shared inputs are not here")


def plain_logits(model: Path, lines: list[dict[str, Any]]) -> tuple[torch.Tensor, dict[int, str]]:
    """What plain transformers makes of the texts of predictions."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    loaded = AutoModelForSequenceClassification.from_pretrained(model).eval()
    inputs = tokenizer([line["text"] for line in lines], padding=True, return_tensors="pt")
    with torch.no_grad():
        return loaded(**inputs).logits, loaded.config.id2label


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
def test_years_are_predicted_and_not_rounded(precision: str, tartan: Tartan, tmp_path: Path):
    answer = tartan(
        "run", *RUN, f"data.dir={FAULTS}/1/reg_year", "primary=regression", "steps=60",
        "batch_size=16", "eval.every=20", f"precision={precision}",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    assert summary(tmp_path / "out")["dev"]["r2"] > 0.9
    lines = predictions(tmp_path / "out")
    logits, _ = plain_logits(tmp_path / "out/model", lines)
    assert [line["predicted"] for line in lines] == pytest.approx(logits[:, 0].tolist(), abs=1e-2)


def test_a_number_is_explained_alike_in_every_unit(tartan: Tartan, tmp_path: Path):
    scores = []
    for name in ("reg_unit", "reg_1e5"):
        answer = tartan(
            "run", *RUN[:-2], f"data.dir={FAULTS}/2/{name}", "primary=regression", "steps=60",
            "batch_size=16", "eval.every=20", f"run_dir={name}", "precision=fp32", "device=cpu",
        )  # fmt: skip
        assert answer.status == 0, answer.err
        scores.append(summary(tmp_path / name)["dev"]["r2"])
    assert scores[0] > 0.9
    assert scores[1] == pytest.approx(scores[0], abs=1e-3)


@pytest.mark.parametrize(
    ("name", "scheme", "steps", "rate"),
    [("ner_IO", "IO", 7, 1e-3), ("ner_lower", "BIO", 40, 3e-3), ("ner_under", "BIO", 40, 3e-3)],
)
def test_spans_are_scored_as_seqeval_does(
    name: str, scheme: str, steps: int, rate: float, tartan: Tartan, tmp_path: Path
):
    answer = tartan(
        "run", *RUN, f"data.dir={FAULTS}/3/{name}", "primary=tokens", "batch_size=8",
        "precision=fp32", f"steps={steps}",
        f"optimizer.body_lr={rate}", f"optimizer.head_lr={rate}",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    assert f"primary: tag scheme {scheme}: f1 compares spans" in answer.out

    def standard(tag: str) -> str:
        if tag == "O":
            return tag
        return f"I-{tag}" if scheme == "IO" else f"{tag[0].upper()}-{tag[2:]}"

    lines = predictions(tmp_path / "out")
    given, predicted = (
        [[standard(tag) for tag in line[key]] for line in lines] for key in ("label", "predicted")
    )
    dev = summary(tmp_path / "out")["dev"]
    assert 0 < dev["f1"] < 1
    assert dev["f1"] == pytest.approx(f1_score(given, predicted))


def test_a_checkpoints_classes_are_matched_by_name(tartan: Tartan, tmp_path: Path):
    answer = tartan(
        "run", *RUN, f"data.dir={FAULTS}/11/plain", "model=auto",
        f"model.name={FAULTS}/11/head3b", "steps=1", "batch_size=4", "optimizer.body_lr=1e-9",
        "optimizer.head_lr=1e-9",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    assert (
        "primary: the checkpoint's head has the same classes in another order: matched by name"
    ) in answer.out
    lines = predictions(tmp_path / "out")
    logits, names = plain_logits(FAULTS / "11/head3b", lines)
    assert [line["predicted"] for line in lines] == [names[i] for i in logits.argmax(1).tolist()]
    assert {line["predicted"] for line in lines} == {"cold"}


def test_the_reported_score_is_the_exported_models(tartan: Tartan, tmp_path: Path):
    answer = tartan(
        "run", *RUN[:1], *RUN[2:], f"data.dir={FAULTS}/14/leak", "steps=2", "batch_size=4",
        "objectives=[tapt]", "schedule.stages.finetune.epochs=0.01", "precision=bf16",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    lines = predictions(tmp_path / "out")
    logits, names = plain_logits(tmp_path / "out/model", lines)
    theirs = [names[i] for i in logits.argmax(1).tolist()]
    assert [line["predicted"] for line in lines] == theirs
    correct = sum(line["label"] == name for line, name in zip(lines, theirs, strict=True))
    assert summary(tmp_path / "out")["dev"]["accuracy"] == pytest.approx(correct / len(lines))
