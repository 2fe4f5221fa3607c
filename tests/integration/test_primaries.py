"""Every kind of end task, and labelled data beside it, up to the model that a run leaves."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from support.command import SMALL, Answer, records, summary
from tartan.run.build import Experiment

Tartan = Callable[..., Answer]
RUN = ["data=jsonl", "data.dir=data", "weighting=meta", "run_dir=out", *SMALL[:9]]
SIZES = {"train": 24, "dev": 12, "test": 12}


def tagged(rng: Random, where: str) -> dict[str, Any]:
    name, place = rng.choice(["ann", "bob", "eve"]), rng.choice(["rome", "oslo", "lima"])
    words = [name, "smith", "went", "to", place, where]
    return {"tokens": words, "tags": ["B-PER", "I-PER", "O", "O", "B-LOC", "O"]}


def scored(rng: Random, where: str) -> dict[str, Any]:
    good = rng.randrange(6)
    return {"text": " ".join(["good"] * good + ["bad"] * (5 - good) + [where]), "label": good / 2}


def paired(rng: Random, where: str) -> dict[str, Any]:
    one, other = rng.choice(["ann", "bob"]), rng.choice(["ann", "bob"])
    text, pair = f"{one} left {where}", f"did {other} leave {where}"
    return {"text": text, "text_pair": pair, "label": "yes" if one == other else "no"}


def write(directory: Path, row: Callable[[Random, str], dict[str, Any]]) -> None:
    """A task whose every text is its own."""
    directory.mkdir()
    for split, size in SIZES.items():
        rng = Random(split)
        rows = [json.dumps(row(rng, f"{split}{n}")) + "\n" for n in range(size)]
        (directory / f"{split}.jsonl").write_text("".join(rows))


def best(overrides: list[str], checkpoints: Path) -> Experiment:
    """A run's experiment with its best model."""
    from hydra import compose, initialize_config_module  # noqa: PLC0415

    from tartan.config.parse import parse  # noqa: PLC0415
    from tartan.plugins import discover  # noqa: PLC0415
    from tartan.run.build import build  # noqa: PLC0415
    from tartan.train.checkpoint import Checkpoints  # noqa: PLC0415

    with initialize_config_module("tartan.configs", version_base="1.3"):
        experiment = build(parse(compose("config", overrides)), discover())
    Checkpoints(checkpoints, 1).load_best(experiment.setup.model)
    return experiment


def outputs(experiment: Experiment) -> torch.Tensor:
    from tartan.train.evaluate import predict  # noqa: PLC0415

    rows = experiment.texts.split("test")
    return predict(experiment.setup.model, rows, 4, experiment.setup.runtime)


def elsewhere(kind: str, model: Path, script: str, given: object) -> Any:
    """What a script makes of an exported model in a process without tartan."""
    whole = f"""
import json, sys
sys.modules["tartan"] = None
import torch
from transformers import AutoModelFor{kind}, AutoTokenizer
model = AutoModelFor{kind}.from_pretrained(sys.argv[1]).eval()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
given = json.loads(sys.stdin.read())
{script}
"""
    done = subprocess.run(
        [sys.executable, "-c", whole, str(model)],
        input=json.dumps(given), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def test_words_are_tagged_and_the_exported_model_tags_them_alike(tartan: Tartan, tmp_path: Path):
    write(tmp_path / "data", tagged)
    overrides = ["primary=tokens", "objectives=[mlm]", *RUN]
    answer = tartan("run", *overrides)
    assert answer.status == 0, answer.err
    found = summary(tmp_path / "out")
    assert set(found["test"]) == {"f1", "precision", "recall", "accuracy"}
    assert found["weights"]["tokens"] != pytest.approx(0.5, abs=1e-6), "META has measured"
    assert found["dev"]["f1"] == max(
        r["eval/f1"] for r in records(tmp_path / "out") if "eval/f1" in r
    )

    experiment = best(overrides, tmp_path / "out/checkpoints")
    script = """
inputs = tokenizer(given, is_split_into_words=True, return_tensors="pt", padding=True)
logits = model(**inputs).logits
found = []
for row in range(len(given)):
    words = inputs.word_ids(row)
    found += [logits[row, words.index(word)].tolist() for word in range(len(given[row]))]
print(json.dumps([found, model.config.id2label]))
"""
    words = experiment.task.test["words"][:]
    theirs, labels = elsewhere("TokenClassification", tmp_path / "out/model", script, words)
    torch.testing.assert_close(torch.tensor(theirs), outputs(experiment), rtol=0, atol=1e-5)
    assert tuple(labels.values()) == experiment.task.labels == ("B-LOC", "B-PER", "I-PER", "O")


SEQUENCES = """
inputs = tokenizer(*given, return_tensors="pt", padding=True)
print(json.dumps([model(**inputs).logits.tolist(), model.config.problem_type]))
"""


def test_a_number_is_learned_and_the_exported_model_predicts_it_alike(
    tartan: Tartan, tmp_path: Path
):
    write(tmp_path / "data", scored)
    overrides = ["primary=regression", "objectives=[mlm]", *RUN]
    answer = tartan("run", *overrides)
    assert answer.status == 0, answer.err
    found = summary(tmp_path / "out")
    assert set(found["dev"]) == {"r2", "pearson", "spearman"}
    assert found["weights"]["regression"] != pytest.approx(0.5, abs=1e-6)

    experiment = best(overrides, tmp_path / "out/checkpoints")
    texts = [experiment.task.test["text"][:]]
    theirs, problem = elsewhere("SequenceClassification", tmp_path / "out/model", SEQUENCES, texts)
    torch.testing.assert_close(torch.tensor(theirs), outputs(experiment), rtol=0, atol=1e-5)
    assert problem == "regression"


def test_pairs_are_classified_and_the_exported_model_classifies_them_alike(
    tartan: Tartan, tmp_path: Path
):
    write(tmp_path / "data", paired)
    overrides = ["objectives=[mlm]", *RUN]
    answer = tartan("run", *overrides)
    assert answer.status == 0, answer.err
    assert summary(tmp_path / "out")["data"]["task"]["rows"] == 2 * SIZES["train"]

    experiment = best(overrides, tmp_path / "out/checkpoints")
    assert all(max(row) == 1 for row in experiment.texts.split("test")["token_type_ids"])
    texts = [experiment.task.test[column][:] for column in ("text", "text_pair")]
    theirs, problem = elsewhere("SequenceClassification", tmp_path / "out/model", SEQUENCES, texts)
    torch.testing.assert_close(torch.tensor(theirs), outputs(experiment), rtol=0, atol=1e-5)
    assert problem == "single_label_classification"


def test_other_labelled_data_is_trained_on_beside_the_end_task(tartan: Tartan, tmp_path: Path):
    for name, row in {"data": paired, "names": tagged, "marks": scored, "more": paired}.items():
        write(tmp_path / name, row)
    for split in ("dev", "test"):
        (tmp_path / "names" / f"{split}.jsonl").unlink()  # only train is read
    leak = (tmp_path / "data/test.jsonl").read_text()
    with (tmp_path / "more/train.jsonl").open("a") as file:
        file.write(leak)
    answer = tartan(
        "run", "objectives=[mlm,tokens_aux,regression_aux,classification_aux]", *RUN,
        "objectives.tokens_aux.data.dir=names", "objectives.tokens_aux.batch_size=4",
        "objectives.regression_aux.data.dir=marks", "objectives.classification_aux.data.dir=more",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    found = summary(tmp_path / "out")
    assert set(found["weights"]) == {
        "classification", "mlm", "tokens_aux", "regression_aux", "classification_aux",
    }  # fmt: skip
    assert set(found["test"]) == {"macro_f1", "accuracy"}
    assert found["data"]["objectives.tokens_aux"]["rows"] == 24
    assert found["data"]["objectives.classification_aux"]["rows"] == 24
    assert (
        "12 rows of objectives.classification_aux stand in the end task's dev or test and are "
        "left out" in answer.out
    )
    losses = records(tmp_path / "out")[0]
    assert {f"train/loss/{name}" for name in found["weights"]} <= set(losses)


def test_a_labelled_auxiliary_of_a_file_of_its_own_has_a_name_of_its_own(
    tartan: Tartan, tmp_path: Path
):
    """Two of one plugin, with data of another source, by files as tapt.yaml is."""
    write(tmp_path / "data", paired)
    (tmp_path / "conf/objectives").mkdir(parents=True)
    for seed, name in enumerate(("first", "second"), start=1):
        (tmp_path / f"conf/objectives/{name}.yaml").write_text(
            f"# @package objectives.{name}\n"
            "defaults: [classification_aux@_here_, /data@data: demo, _self_]\n"
            f"data: {{seed: {seed}, train: 20}}\n"
        )
    answer = tartan("run", "objectives=[first,second]", *RUN, "hydra.searchpath=[file://conf]",
                    "--config-dir", str(tmp_path / "conf"))  # fmt: skip
    assert answer.status == 0, answer.err
    data = summary(tmp_path / "out")["data"]
    assert data["objectives.first"]["rows"] == data["objectives.second"]["rows"] == 20
    assert data["objectives.first"]["sha256"] != data["objectives.second"]["sha256"]


def test_a_run_of_tagged_words_goes_on_from_its_checkpoint(tartan: Tartan, tmp_path: Path):
    write(tmp_path / "data", tagged)
    overrides = ["primary=tokens", "objectives=[mlm]", *RUN, "checkpoint.every=2"]
    assert tartan("run", *overrides, "checkpoint.keep=9").status == 0
    whole = records(tmp_path / "out")
    for left in ("summary.json", "metrics.jsonl"):
        (tmp_path / "out" / left).unlink()
    for path in (tmp_path / "out/checkpoints").glob("checkpoint-*"):
        if int(path.name.partition("-")[2]) > 4:
            for file in path.iterdir():
                file.unlink()
            path.rmdir()
    assert tartan("run", *overrides, "checkpoint.keep=9").status == 0
    assert records(tmp_path / "out") == whole  # a checkpoint has the lines before it


@pytest.fixture
def pairs(tmp_path: Path) -> None:
    write(tmp_path / "data", paired)


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["objectives=[tokens_aux]"], "objectives.tokens_aux reads labels: give it its own data, "
         "objectives.tokens_aux.data.dir=... (a directory with a train.jsonl)"),
        (["objectives=[tokens_aux]", "objectives.tokens_aux.data.dir=data"],
         "objectives.tokens_aux: data/train.jsonl:1: the row has no field 'tokens'"),
        (["objectives=[tokens_aux]", "objectives.tokens_aux.data.dri=data"],
         "objectives.tokens_aux: data.dri: no such option; did you mean 'dir'?"),
        (["objectives=[tokens_aux]", "objectives.tokens_aux.data.source=demo"],
         "objectives.tokens_aux: data.source=demo has sentences with classes, and tags are"),
        (["objectives=[classification]"], "did you mean 'classification_aux'?"),
        (["primary=regression"], r"data/train.jsonl:1: label is a string: make it a number"),
        (["eval.metric=f1"], "eval.metric=f1: choose from: accuracy, macro_f1"),
        (["primary=mlm"], "primary=mlm: no such option"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(
    tartan: Tartan, tmp_path: Path, arguments: list[str], line: str
):
    answer = tartan("run", *RUN, *arguments)
    assert answer.status == 2
    assert re.fullmatch(r"tartan: [^\n]+\n", answer.err)
    assert line in answer.err
    assert not (tmp_path / "out").exists()
