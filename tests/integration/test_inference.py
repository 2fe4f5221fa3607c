"""predict and evaluate: what a finished run is used for."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

import tartan as library
from support.command import Answer, summary, write_task
from support.inference import TRAINED, evaluated, read_csv, trained, write_csv

Tartan = Callable[..., Answer]
TEXTS = ["red red sky", "blue, blue sea", "red number 3", "a long text " * 60, "blue"]


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("classes")
    write_task(directory / "task")
    return trained(directory, "steps=30")


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tags in IOB1, which are not those that BIO or IO would read in a few rows."""
    tags = ["O", "I-LOC", "B-LOC", "I-PER", "O", "O"]
    rows = {
        split: [
            {"tokens": ["in", "Rome", "Paris", "Anna", "sang", f"{split}{n}"], "tags": tags}
            for n in range(8)
        ]
        for split in ("train", "dev", "test")
    }
    directory = tmp_path_factory.mktemp("tagged")
    write_task(directory / "task", **rows)
    return trained(directory, "primary=tokens")


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = {
        split: [
            {"text": f"good {n}", "text_pair": f"bad {split}", "label": 100 + n} for n in range(8)
        ]
        for split in ("train", "dev", "test")
    }
    directory = tmp_path_factory.mktemp("numbers")
    write_task(directory / "task", **rows)
    return trained(directory, "primary=regression")


def pipelines(run: Path, texts: list[str]) -> list[dict[str, float]]:
    """The probabilities that plain transformers gives."""
    reads = pipeline("text-classification", model=str(run / "model"), top_k=None)
    return [{p["label"]: p["score"] for p in found} for found in reads(texts, truncation=True)]


@pytest.mark.parametrize("kind", ["classes", "tagged", "numbers"])
def test_the_code_of_the_card_works_for_long_texts(kind: str, request: pytest.FixtureRequest):
    run: Path = request.getfixturevalue(kind)
    card = (run / "model/README.md").read_text()
    program = card.partition("```python\n")[2].partition("```")[0]
    assert program.count('"..."') == 1
    assert ("text_pair" in program) == (kind == "numbers")
    long = program.replace('"..."', repr(str(run / "model"))).replace("a text", "a text " * 300)
    assert long.count("a text") == 300
    exec(long, {})


def test_predict_writes_each_row_with_all_probabilities(
    tartan: Tartan, classes: Path, tmp_path: Path
):
    rows = [{"id": f"00{n}", "Review": text, "x": "=1+1"} for n, text in enumerate(TEXTS)]
    write_csv(tmp_path / "texts.csv.gz", rows)
    answer = tartan("predict", str(classes), "texts.csv.gz", "out.csv", "batch_size=2")
    assert answer.status == 0, answer.err
    assert answer.out == "5 rows predicted (text from 'Review'): out.csv\n"
    assert answer.err == "tartan: 1 text of texts.csv.gz was cut to 128 tokens.\n"
    found = read_csv(tmp_path / "out.csv")
    own = ["predicted", "probability", "probability_cold", "probability_warm"]
    assert list(found[0]) == ["id", "Review", "x", *own]
    assert [{name: row[name] for name in rows[0]} for row in found] == rows
    for row, expected in zip(found, pipelines(classes, TEXTS), strict=True):
        given = {label: float(row[f"probability_{label}"]) for label in expected}
        assert given == pytest.approx(expected, abs=2e-6)
        assert row["predicted"] == max(given, key=given.__getitem__)
        assert float(row["probability"]) == max(given.values())


def test_formats_follow_the_names_of_files(tartan: Tartan, classes: Path, tmp_path: Path):
    lines = "".join(json.dumps({"text": text, "extra": [1]}) + "\n" for text in TEXTS)
    (tmp_path / "texts.jsonl").write_text(lines)
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n")
    for source, target in (("texts.jsonl", "out.jsonl"), ("texts.txt", "out.tsv")):
        assert tartan("predict", str(classes), source, target).status == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert rows[0]["extra"] == [1]
    assert set(rows[0]["probabilities"]) == {"cold", "warm"}
    assert [row["predicted"] for row in read_csv(tmp_path / "out.tsv", "\t")] == [
        row["predicted"] for row in rows
    ]
    model = tartan("predict", str(classes / "model"), "texts.txt", "other.tsv")
    assert model.status == 0
    assert (tmp_path / "other.tsv").read_bytes() == (tmp_path / "out.tsv").read_bytes()


def test_the_python_api_predicts_the_same(tartan: Tartan, classes: Path, tmp_path: Path):
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n")
    tartan("predict", str(classes), "texts.txt", "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    found = library.Run(classes).predict(TEXTS)
    assert found == [{name: row[name] for name in found[0]} for row in rows]
    with pytest.raises(library.DataError, match=r"^texts\[1\]: text is null: make it a string"):
        library.Run(classes).predict(["red", None])  # type: ignore[list-item]


def test_tags_are_those_of_plain_transformers(tartan: Tartan, tagged: Path, tmp_path: Path):
    words = [["Anna", "sang", "in", "Rome"], ["x"] * 200]
    rows = ({"text": "another text", "tokens": each} for each in words)
    (tmp_path / "words.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    answer = tartan("predict", str(tagged), "words.jsonl", "out.jsonl")
    assert answer.status == 0, answer.err
    assert "words of words.jsonl were cut off or without a token: not predicted." in answer.err
    first, long = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(tagged / "model")
    encoding = tokenizer(" ".join(words[0]), return_tensors="pt")
    model = AutoModelForTokenClassification.from_pretrained(tagged / "model")
    with torch.no_grad():
        shares = model(**encoding).logits[0].softmax(1)
    starts = {word: token for token, word in reversed(list(enumerate(encoding.word_ids(0))))}
    for word in range(4):
        given = list(first["probabilities"][word].values())
        assert given == pytest.approx(shares[starts[word]].tolist(), abs=2e-6)
    assert len(long["predicted"]) == 200
    assert long["predicted"][-1] is None
    typed = tartan("predict", str(tagged), "words.jsonl", "typed.jsonl", "data.text=text")
    assert "text from 'text'" in typed.out
    by_api, divided = library.Run(tagged).predict([words[0], " ".join(words[0])])
    assert by_api == divided
    assert by_api["predicted"] == first["predicted"]


def test_the_column_of_words_may_be_named(
    tartan: Tartan, tagged: Path, classes: Path, tmp_path: Path
):
    row = {"words of it": ["Anna", "sang"], "text": "a text"}
    (tmp_path / "words.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "words.csv").write_text("words of it\nAnna sang\n")
    arguments = ["predict", str(tagged), "words.jsonl", "out.jsonl"]
    answer = tartan(*arguments, "data.tokens=words of it")
    assert answer.status == 0, answer.err
    assert "tokens from 'words of it'" in answer.out
    found = json.loads((tmp_path / "out.jsonl").read_text())
    assert len(found["predicted"]) == 2
    for run, file, given, line in [
        (tagged, "jsonl", ["data.tokens=wrds"], "data.tokens=wrds: no such column in words.jsonl"),
        (tagged, "jsonl", ["data.tokens=words of it", "data.text=text"],
         "data.tokens=words of it and data.text=text: give one of the two"),
        (tagged, "csv", ["data.tokens=words of it"],
         "data.tokens=words of it: words.csv has no lists of words: name the text, "
         "data.text=COLUMN, whose words are separated by white space"),
        (classes, "jsonl", ["data.tokens=words of it"],
         "data.tokens=words of it: the model does not tag words: name the text, data.text=COLUMN"),
    ]:  # fmt: skip
        answer = tartan("predict", str(run), f"words.{file}", "other.jsonl", *given)
        assert answer.status == 2
        assert answer.err.startswith(f"tartan: {line}")


def test_numbers_and_pairs_are_predicted(tartan: Tartan, numbers: Path, tmp_path: Path):
    rows = [{"text": "good 3", "text_pair": "bad"}, {"text": "good 5", "text_pair": "bad"}]
    write_csv(tmp_path / "texts.csv", rows)
    answer = tartan("predict", str(numbers), "texts.csv", "out.csv")
    assert answer.status == 0, answer.err
    assert "pair from 'text_pair'" in answer.out
    found = [float(row["predicted"]) for row in read_csv(tmp_path / "out.csv")]
    assert all(95 < value < 112 for value in found), found
    given = [("good 3", "bad"), ("good 5", "bad")]
    by_api = [each["predicted"] for each in library.Run(numbers).predict(given)]
    assert by_api == pytest.approx(found)
    with pytest.raises(library.DataError, match="is a single text: give pairs of texts, as tuples"):
        library.Run(numbers).predict(["good 3"])


@pytest.mark.parametrize(("run", "columns", "line"), [
    ("numbers", "text,other,label",
     "the model was trained on pairs of texts and no column of the second text was found: name it, "
     "data.pair=COLUMN"),
    ("classes", "premise,hypothesis,label",
     "the model was trained on single texts and 'hypothesis' is a second text: name the text "
     "alone, data.text=COLUMN"),
])  # fmt: skip
def test_pairs_and_single_texts_are_not_read_as_one_another(
    tartan: Tartan, tmp_path: Path, request: pytest.FixtureRequest, run: str, columns: str,
    line: str,
):  # fmt: skip
    directory = str(request.getfixturevalue(run))
    (tmp_path / "rows.csv").write_text(
        f"{columns}\ngood 3,bad,{'101' if run == 'numbers' else 'warm'}\n"
    )
    for command in (
        ["predict", directory, "rows.csv", "out.csv"],
        ["evaluate", directory, "rows.csv"],
    ):
        answer = tartan(*command)
        assert (answer.status, answer.err) == (2, f"tartan: rows.csv: {line}\n")
    named = f"data.pair={columns.split(',')[1]}" if run == "numbers" else "data.text=premise"
    assert tartan("predict", directory, "rows.csv", "out.csv", named).status == 0


REFUSED = [
    (["RUN", "texts.csv", "there.csv"],
     "there.csv is there already and is not overwritten: give another name"),
    (["RUN", "texts.csv", "out.xlsx"],
     "out.xlsx: predictions are written as .csv, .tsv, .jsonl: choose from: .csv, .jsonl, .tsv"),
    (["RUN", "texts.csv", "no/out.csv"],
     "no is not a directory: create it, or give another name"),
    (["RUN", "texts.csv"], "OUT is missing: give RUN TEXTS OUT"),
    (["RUN", "texts.csv", "out.csv", "batchsize=3"],
     "'batchsize=3' is one argument too many: give RUN TEXTS OUT; did you mean 'batch_size'?"),
    (["RUN", "texts.csv", "out.csv", "batch_size=0"], "batch_size must be at least 1, got 0."),
    (["RUN", "texts.csv", "out.csv", "batch_size=x"],
     "batch_size must be a whole number, got x"),
    (["RUN", "texts.csv", "out.csv", "--text"],
     "'--text': options are written name=value: data.text, data.pair, data.tokens, batch_size, "
     "device"),
    (["RUN", "none.csv", "out.csv"], "none.csv: no such file: give a file of texts"),
    (["task", "texts.csv", "out.csv"],
     "task is neither a finished run (summary.json is missing) nor a model (config.json is "
     "missing): give the directory of a run that is complete"),
    (["texts.csv", "texts.csv", "out.csv"],
     "texts.csv is not a run's directory, but a file: give the directory of a run that is "
     "complete"),
    (["RUN", "texts.csv", "out.csv", "data.text=bodi"],
     "data.text=bodi: no such column in texts.csv: did you mean 'body'?"),
    (["RUN", "empty.csv", "out.csv"], "empty.csv: no rows: give at least one text"),
    (["RUN", "blank.csv", "out.csv"],
     "blank.csv:3: text is empty: fill it or remove the row"),
    (["RUN", "taken.csv", "out.csv"],
     "taken.csv: the column 'predicted' has the name of one that is added: rename it"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "line"), REFUSED, ids=[line[:40] for _, line in REFUSED])
def test_a_refused_prediction_is_one_line_and_writes_nothing(
    tartan: Tartan, classes: Path, tmp_path: Path, arguments: list[str], line: str
):
    for name, text in {
        "texts.csv": "body\nred\n", "there.csv": "mine", "empty.csv": "text\n",
        "blank.csv": "text,n\nred,1\n ,2\n", "taken.csv": "text,predicted\nred,1\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    (tmp_path / "task").mkdir()
    before = sorted(tmp_path.iterdir())
    typed = [str(classes) if argument == "RUN" else argument for argument in arguments]
    answer = tartan("predict", *typed)
    assert (answer.status, answer.out, answer.err) == (2, "", f"tartan: {line}\n")
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.csv").read_text() == "mine"


@pytest.mark.parametrize("name", ["classes", "tagged", "numbers"])
def test_evaluate_gives_the_scores_of_the_run_on_its_own_splits(
    tartan: Tartan, request: pytest.FixtureRequest, tmp_path: Path, name: str
):
    run: Path = request.getfixturevalue(name)
    found = evaluated(tartan, run, run.parent / "task/test.jsonl")
    scores = {name: metric["value"] for name, metric in found["metrics"].items()}
    assert scores == pytest.approx(summary(run)["test"], abs=1e-6)
    assert ("reliability.png" in {p.name for p in Path("found/figures").iterdir()}) is (
        name != "numbers"
    )
    if name == "classes":
        assert sum(map(sum, found["confusion"])) == found["rows"] == 16
        bins = found["calibration"]["bins"]
        error = sum(b["count"] * abs(b["accuracy"] - b["confidence"]) for b in bins) / 16
        assert found["calibration"]["ece"] == pytest.approx(error)


def test_only_training_says_where_a_head_comes_from(tartan: Tartan, numbers: Path, tmp_path: Path):
    notices = evaluated(tartan, numbers, numbers.parent / "task/test.jsonl")["notices"]
    assert "head" not in " ".join(notices)
    small = [text for text in TRAINED if not text.startswith("model.")]
    data = ["primary=regression", "data=jsonl", f"data.dir={numbers.parent / 'task'}"]
    model = ["model=auto", f"model.name={numbers / 'model'}"]
    answer = tartan("run", *data, *model, *small)
    assert answer.status == 0, answer.err
    assert "primary: the checkpoint's head predicts a number" in answer.out
