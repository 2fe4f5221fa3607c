"""Classes as a run predicts them: several for a text, or the same one for all."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

import tartan as library
from support.command import Answer, records, summary
from support.end_tasks import RUN, predictions, write
from support.plain import elsewhere

Tartan = Callable[..., Answer]


def test_sets_of_labels_are_predicted_and_the_exported_model_predicts_them_alike(
    tartan: Tartan, tmp_path: Path
):
    def row(rng: Random, where: str) -> dict[str, Any]:
        names = rng.sample(["ann", "bob", "eve"], rng.randrange(3))
        return {"text": " ".join([*names, "left", where]), "label": names}

    write(tmp_path / "data", row)
    answer = tartan("run", "primary=multilabel", "objectives=[mlm,rdrop]", *RUN)
    assert answer.status == 0, answer.err
    found = summary(tmp_path / "out")
    assert set(found["test"]) == {"micro_f1", "macro_f1", "average_precision"}
    assert found["dev"]["micro_f1"] == max(
        r["eval/micro_f1"] for r in records(tmp_path / "out") if "eval/micro_f1" in r
    )
    reported = predictions(tmp_path / "out")
    script = """
config = model.config
inputs = tokenizer(given, padding=True, return_tensors="pt")
with torch.no_grad():
    found = model(**inputs).logits.sigmoid()
answer = [config.problem_type, config.threshold, config.id2label, found.tolist()]
"""
    texts = [line["text"] for line in reported]
    model = tmp_path / "out" / "model"
    problem, threshold, names, rows = elsewhere("SequenceClassification", model, script, texts)
    assert problem == "multi_label_classification"
    for line, probabilities in zip(reported, rows, strict=True):
        by_name = dict(zip(names.values(), probabilities, strict=True))
        assert line["probabilities"] == pytest.approx(by_name, abs=2e-6)
        assert line["predicted"] == [name for name, p in by_name.items() if p >= threshold]


def test_a_model_that_predicts_one_class_alone_is_reported(tartan: Tartan, tmp_path: Path):
    def row(rng: Random, where: str) -> dict[str, Any]:
        rare = int(where.removeprefix("train").removeprefix("dev").removeprefix("test")) % 6 == 0
        return {"text": f"{rng.choice(['ann', 'bob'])} left {where}", "label": ["0", "Größe"][rare]}

    write(tmp_path / "data", row)
    slow = ["optimizer.head_lr=1e-6", "optimizer.body_lr=1e-6"]
    command = ["run", *RUN, *slow, "primary.class_weights={Größe: 1, 0: 1}"]
    answer = tartan(*command)
    assert answer.status == 0, answer.err
    predicted = {line["predicted"] for line in predictions(tmp_path / "out")}
    assert len(predicted) == 1
    (only,) = predicted
    rows = {"0": 10, "Größe": 2}[only]
    assert (
        f"The best model predicts only '{only}', for all 12 rows of dev, of which {rows} have it: "
        "train longer, with another learning rate or seed, or set primary.class_weights=balanced."
    ) in answer.out.splitlines()
    stages = [f"schedule.stages.{name}.objectives=auxiliary" for name in ("joint", "finetune")]
    answer = tartan(*command, "objectives=[tapt]", *stages, "run_dir=untrained")
    assert answer.status == 0, answer.err
    assert "No stage trains classification, the end task: its head keeps" in answer.out
    assert summary(tmp_path / "untrained")["best_step"] > 0  # no evaluation: it is the last step's
    assert len({line["predicted"] for line in predictions(tmp_path / "untrained")}) == 1
    assert "The best model predicts only" not in answer.out
    again = tartan(*command)  # 0 is a number in memory, and a string in summary.json
    assert again.status == 0, again.err
    recorded = yaml.safe_load((tmp_path / "out/.hydra/overrides.yaml").read_text())
    assert tartan("run", *recorded).status == 0
    options: dict[str, Any] = {"primary.class_weights": {"Größe": 1.0, 0: 1}}
    assert library.run(*recorded[:-1], verbose=False, **options).directory == Path("out").absolute()
