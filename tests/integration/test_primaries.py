"""Every kind of end task, and labelled data beside it, up to the model that a run leaves."""

import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from support.command import Answer, records, summary
from support.end_tasks import RUN, SIZES, predictions, write
from support.plain import elsewhere
from support.runs import cut, differences

Tartan = Callable[..., Answer]


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


HALF = pytest.mark.parametrize("precision", ["bf16", "fp16"])
"""A run trains in it; the exported model is float32."""


@HALF
def test_words_are_tagged_and_the_exported_model_tags_them_alike(
    tartan: Tartan, tmp_path: Path, precision: str
):
    write(tmp_path / "data", tagged)
    answer = tartan("run", "primary=tokens", "objectives=[mlm]", *RUN, f"precision={precision}")
    assert answer.status == 0, answer.err
    assert "primary: tag scheme BIO: f1 compares spans" in answer.out
    found = summary(tmp_path / "out")
    assert set(found["test"]) == {"f1", "precision", "recall", "accuracy"}
    assert found["weights"]["tokens"] != pytest.approx(0.5, abs=1e-6), "META has measured"
    assert found["dev"]["f1"] == max(
        r["eval/f1"] for r in records(tmp_path / "out") if "eval/f1" in r
    )

    script = """
inputs = tokenizer(given, is_split_into_words=True, return_tensors="pt", padding=True)
probabilities, ids = model(**inputs).logits.softmax(2).max(2)
found = []
for row in range(len(given)):
    words = inputs.word_ids(row)
    first = [words.index(word) for word in range(len(given[row]))]
    found.append([[model.config.id2label[i] for i in ids[row, first].tolist()],
                  probabilities[row, first].tolist()])
answer = [found, list(model.config.id2label.values())]
"""
    lines = predictions(tmp_path / "out")
    words = [line["words"] for line in lines]
    theirs, labels = elsewhere("TokenClassification", tmp_path / "out/model", script, words)
    for line, (tags, probabilities) in zip(lines, theirs, strict=True):
        assert line["predicted"] == tags
        assert line["probability"] == pytest.approx(probabilities, abs=1e-5)
    assert labels == found["task"]["labels"] == ["B-LOC", "B-PER", "I-PER", "O"]


SEQUENCES = """
inputs = tokenizer(*given, return_tensors="pt", padding=True)
logits = model(**inputs).logits
if len(logits[0]) == 1:
    found = logits[:, 0].tolist()
else:
    probabilities, ids = logits.softmax(1).max(1)
    found = [[model.config.id2label[i] for i in ids.tolist()], probabilities.tolist()]
answer = [found, model.config.problem_type]
"""


@HALF
def test_a_number_is_learned_and_the_exported_model_predicts_it_alike(
    tartan: Tartan, tmp_path: Path, precision: str
):
    write(tmp_path / "data", scored)
    answer = tartan("run", "primary=regression", "objectives=[mlm]", *RUN, f"precision={precision}")
    assert answer.status == 0, answer.err
    found = summary(tmp_path / "out")
    assert set(found["dev"]) == {"r2", "pearson", "spearman"}
    assert found["weights"]["regression"] != pytest.approx(0.5, abs=1e-6)

    lines = predictions(tmp_path / "out")
    texts = [[line["text"] for line in lines]]
    theirs, problem = elsewhere("SequenceClassification", tmp_path / "out/model", SEQUENCES, texts)
    assert [line["predicted"] for line in lines] == pytest.approx(theirs, rel=1e-5)
    assert problem == "regression"


@HALF
def test_pairs_are_classified_and_the_exported_model_classifies_them_alike(
    tartan: Tartan, tmp_path: Path, precision: str
):
    write(tmp_path / "data", paired)
    answer = tartan("run", "objectives=[mlm]", *RUN, f"precision={precision}")
    assert answer.status == 0, answer.err
    assert summary(tmp_path / "out")["data"]["task"]["rows"] == 2 * SIZES["train"]

    lines = predictions(tmp_path / "out")
    texts = [[line[key] for line in lines] for key in ("text", "text_pair")]
    theirs, problem = elsewhere("SequenceClassification", tmp_path / "out/model", SEQUENCES, texts)
    assert [line["predicted"] for line in lines] == theirs[0]
    assert [line["probability"] for line in lines] == pytest.approx(theirs[1], abs=1e-5)
    assert problem == "single_label_classification"


UNITS = [(1.0, 0.0), (1e5, 0.0), (-1 / 8, 2000.0)]


def test_a_number_is_learned_alike_in_every_affine_unit(tartan: Tartan, tmp_path: Path):
    """Through META's probe too, and as an auxiliary objective."""
    results = []
    for number, (factor, offset) in enumerate(UNITS):

        def converted(rng: Random, where: str) -> dict[str, Any]:
            row = scored(rng, where)
            return {**row, "label": factor * row["label"] + offset}  # noqa: B023

        write(tmp_path / f"data{number}", converted)
        answer = tartan(
            "run", "primary=regression", "objectives=[regression_aux]", *RUN, "steps=60",
            f"data.dir=data{number}", f"objectives.regression_aux.data.dir=data{number}",
            "schedule=joint", "optimizer.body_lr=5e-3", "optimizer.head_lr=5e-3", "eval.every=20",
                "model.hidden_size=32",
            f"run_dir=out{number}",
        )  # fmt: skip
        assert answer.status == 0, answer.err
        found = summary(tmp_path / f"out{number}")
        losses = [line["train/loss/regression_aux"] for line in records(tmp_path / f"out{number}")
                  if "train/loss/regression_aux" in line]  # fmt: skip
        results.append((found["dev"] | found["weights"], losses, found["best_step"]))
    first, *others = results
    assert first[0]["r2"] > 0.5
    for scores, losses, step in others:
        for name, value in scores.items():
            assert value == pytest.approx(first[0][name], abs=5e-3), name
        assert losses == pytest.approx(first[1], rel=1e-2)
        assert step == first[2]


def test_a_run_on_numbers_resumes_exactly_from_its_checkpoint(tartan: Tartan, tmp_path: Path):
    write(tmp_path / "data", scored)
    overrides = ["primary=regression", "objectives=[mlm]", *RUN, "checkpoint.every=2",
                 "checkpoint.keep=99"]  # fmt: skip
    assert tartan("run", *overrides).status == 0
    cut(tmp_path / "out", "cut", "checkpoint-4")
    assert ", 4 taken" in tartan("run", *overrides, "run_dir=cut").out
    assert differences(tmp_path / "out", tmp_path / "cut") == []
    assert predictions(tmp_path / "out") == predictions(tmp_path / "cut")


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
        "12 rows of objectives.classification_aux also appear in the end task's dev or test and "
        "were left out." in answer.out
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
    assert tartan("run", *overrides, "checkpoint.keep=99").status == 0
    (cut(tmp_path / "out", "cut", "checkpoint-4") / "metrics.jsonl").unlink()
    assert ", 4 taken" in tartan("run", *overrides, "checkpoint.keep=99", "run_dir=cut").out
    assert records(tmp_path / "cut") == records(tmp_path / "out")  # a checkpoint has those before


@pytest.fixture
def tasks(tmp_path: Path) -> None:
    """A task of pairs, numbers too large and too much alike, and tags."""
    write(tmp_path / "data", paired)
    write(
        tmp_path / "large",
        lambda rng, where: number(where, 3e200 if "dev" in where else rng.random()),
    )
    write(tmp_path / "alike", lambda rng, where: number(where, 1e12 + rng.randrange(2)))
    write(
        tmp_path / "tags",
        lambda _, where: {"tokens": ["a", "b", where], "tags": ["B-A", "E-A", "O"]},
    )


def number(text: str, label: float) -> dict[str, Any]:
    return {"text": text, "label": label}


@pytest.mark.usefixtures("tasks")
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
         "objectives.tokens_aux: data.source=demo has sentences with classes, not tags: choose"),
        (["objectives=[classification]"], "did you mean 'classification_aux'?"),
        (["primary=regression"], r"data/train.jsonl:1: label is a string: make it a number"),
        (["primary=regression", "data.dir=large"], "large/dev.jsonl:1: label is 3e+200: float32 "
         "models predict numbers up to 1e+30; give labels in a larger unit"),
        (["primary=regression", "data.dir=alike"], "the labels of train have mean 1e+12 and "
         "standard deviation 0."),
        (["primary=tokens", "data.dir=tags", "primary.scheme=BIO"],
         "primary.scheme=BIO: tag 'E-A' is neither O nor a type with one of B, I: choose another"),
        (["primary=tokens", "data.dir=tags", "primary.scheme=BIOS"],
         "primary.scheme=BIOS: did you mean 'BIOES'?"),
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
