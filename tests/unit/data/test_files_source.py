"""`data=files`: a task from files as people have them."""

import gzip
import json
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

from support.csv_files import csv, load, numbered
from tartan.batch import LabelKind
from tartan.data.divide import SplitOptions
from tartan.data.files import FilesOptions, find_files, find_labelled, load_files
from tartan.data.jsonl import JsonlOptions, load_jsonl
from tartan.errors import ConfigError, DataError


def texts(task) -> dict[str, list[str]]:
    return {split: getattr(task, split)["text"][:] for split in ("train", "dev", "test")}


def test_one_file_is_divided(tmp_path: Path):
    path = tmp_path / "mine.csv"
    path.write_text(csv(numbered(*["a", "b", "b", "b"] * 25)))
    task = load(path)
    found = texts(task)
    assert {split: len(rows) for split, rows in found.items()} == {
        "train": 70, "dev": 15, "test": 15,
    }  # fmt: skip
    assert sorted(chain.from_iterable(found.values())) == sorted(
        text for text, _ in numbered(*"a" * 100)
    )
    for split in found:
        counts = Counter(getattr(task, split)["label"][:])
        assert abs(counts[0] - len(found[split]) / 4) <= 1
    assert task.name == "mine"
    assert task.division is not None
    assert found["dev"] == [f"text {number}" for number in task.division.rows["dev"]]
    assert task.notes == (
        "Read train from mine.csv; text from column 'text', label from column 'label'.",
        "mine.csv was divided into train 70, dev 15, test 15 rows: stratified, 0 groups of "
        "identical texts kept together, data.split.seed=0.",
    )


def test_the_seed_and_the_sizes_are_options(tmp_path: Path):
    path = tmp_path / "mine.csv"
    path.write_text(csv(numbered(*["a", "b"] * 20)))
    first, again = texts(load(path)), texts(load(path))
    assert first == again
    other = texts(load(path, split=SplitOptions(dev=10, test=0.05, seed=1)))
    assert [len(rows) for rows in other.values()] == [28, 10, 2]
    assert texts(load(path, split=SplitOptions(seed=1)))["dev"] != first["dev"]


def test_identical_texts_stay_together_and_nothing_leaks(tmp_path: Path):
    path = tmp_path / "mine.csv"
    rows = [(f"text  {number // 3}" if number % 2 else f" text {number // 3}", "ab"[number % 2])
            for number in range(120)]  # fmt: skip
    path.write_text(csv(rows))
    task = load(path)
    digests = {split: {" ".join(t.split()) for t in found} for split, found in texts(task).items()}
    assert not digests["train"] & digests["dev"]
    assert not digests["train"] & digests["test"]
    assert not digests["dev"] & digests["test"]
    assert not any(task.leaks.values())
    assert "40 groups of identical texts kept together" in task.notes[1]


def test_a_class_of_one_row_is_trained_on_and_named(tmp_path: Path):
    path = tmp_path / "mine.csv"
    path.write_text(csv([*numbered(*["a", "b"] * 20), ("alone", "rare")]))
    task = load(path)
    assert "alone" in texts(task)["train"]
    assert task.labels == ("a", "b", "rare")
    assert task.notes[-2:] == (
        "dev has no row with 'rare': too few different texts.",
        "test has no row with 'rare': too few different texts.",
    )


def test_rare_classes_are_in_dev_and_test_without_bias(tmp_path: Path):
    path = tmp_path / "mine.csv"
    pairs = [f"c{number // 2}" for number in range(400)]
    path.write_text(csv(numbered(*pairs)))
    found = texts(load(path))
    # Of 200 classes of two rows, one row of each is in train; the other may be in any split.
    assert (len(found["dev"]), len(found["test"])) == (60, 60)
    path.write_text(csv(numbered(*["a"] * 95, *["b"] * 5)))
    task = load(path)
    assert Counter(task.train["label"][:])[1] >= 3


@pytest.mark.parametrize("seed", range(5))
def test_a_class_that_only_a_contradicting_row_has_is_trained_on(seed: int, tmp_path: Path):
    path = tmp_path / "mine.csv"
    path.write_text(csv([*numbered(*["a", "b"] * 20), ("text 1", "B")]))
    task = load(path, split=SplitOptions(seed=seed))
    assert task.labels == ("B", "a", "b")
    assert texts(task)["train"].count("text 1") == 2


def test_numbers_are_divided_by_their_size(tmp_path: Path):
    path = tmp_path / "mine.csv"
    path.write_text(csv([(f"text {n}", n) for n in range(200)], header=("review", "score")))
    task = load(path, LabelKind.NUMBER)
    for split in ("dev", "test"):
        numbers = getattr(task, split)["label"][:]
        assert 80 < sum(numbers) / len(numbers) < 120


def test_only_the_splits_that_are_missing_are_made(tmp_path: Path):
    (tmp_path / "my_training_set.csv").write_text(csv(numbered(*["a", "b"] * 20)))
    (tmp_path / "validation.tsv").write_text(csv([("dev 1", "a")], separator="\t"))
    task = load(tmp_path)
    assert texts(task)["dev"] == ["dev 1"]
    assert (len(task.train), len(task.test)) == (34, 6)
    given = load(tmp_path / "my_training_set.csv", test=str(tmp_path / "validation.tsv"))
    assert texts(given)["test"] == ["dev 1"]
    assert given.columns == {"text": "text", "label": "label"}
    assert len(load(tmp_path, splits=("train",)).train) == 40


def test_a_directory_is_read_by_the_names_of_its_files(tmp_path: Path):
    for split, text in {"train": "one", "validation": "two", "test": "three"}.items():
        (tmp_path / split).mkdir()
        rows = [{"sentence": f"{text} {n}", "Class": n} for n in range(2)]
        content = "\n".join(map(json.dumps, rows)).encode()
        (tmp_path / split / "part-0.jsonl.gz").write_bytes(gzip.compress(content))
    (tmp_path / "unlabeled.txt").write_text("more\n")
    (tmp_path / "domain-1.csv").write_text('Text\nother\n"and\nmore"\n')
    (tmp_path / "notes.csv").write_text("a,b\n")
    (tmp_path / ".hidden.csv").write_text("a,b\n")
    task = load(tmp_path)
    assert texts(task) == {
        "train": ["one 0", "one 1"], "dev": ["two 0", "two 1"], "test": ["three 0", "three 1"],
    }  # fmt: skip
    assert task.corpora["task"]["text"][:] == ["one 0", "one 1", "more"]
    assert task.corpora["domain"]["text"][:] == ["other", "and\nmore"]
    assert task.notes == (
        "Read train from part-0.jsonl.gz, dev from part-0.jsonl.gz, test from part-0.jsonl.gz; "
        "text from column 'sentence', label from column 'Class'.",
        "Not read, as no name says train, dev or test: notes.csv.",
    )
    assert task.division is None


@pytest.mark.parametrize(
    "mark", [".hydra/config.yaml", "multirun.yaml", "study.json", "evaluation.json"]
)
def test_directories_of_results_are_not_read(mark: str, tmp_path: Path):
    (tmp_path / "mine.csv").write_text(csv(numbered(*["a", "b"] * 20)))
    results = tmp_path / "results"
    for file in ("train/texts.txt", "predictions-dev.jsonl", "unlabelled/texts.txt", mark):
        (results / file).parent.mkdir(parents=True, exist_ok=True)
        (results / file).write_text("{}\n")
    assert load(tmp_path).notes[0].startswith("Read train from mine.csv; ")
    given = load(tmp_path, unlabelled=str(tmp_path))
    assert len(given.corpora["task"]) == 28 + 28  # not the texts of dev and test
    (tmp_path / "mine.csv").unlink()
    with pytest.raises(DataError) as refused:
        load(tmp_path)
    assert "are: none; directories of runs are not read): add one" in str(refused.value)
    # One that is given is read.
    for name in ("train.csv", "train_more.csv"):
        (results / name).write_text(csv([(f"{name} {n}", "ab"[n % 2]) for n in range(40)]))
    task = load(results, dev=str(results / "train_more.csv"))
    assert len(task.dev) == 40
    assert not any("more" in text for text in texts(task)["train"])
    (results / "train.csv").unlink()
    more = results / "train_more.csv"
    with pytest.raises(DataError, match=rf"rows is left: data.dev and data.test name {more}; add"):
        load(results, dev=str(more))
    (results / "train_last.csv").write_text(more.read_text())
    with pytest.raises(DataError, match=rf"name {results}/train_last.csv, {more}; add another$"):
        load(results, dev=str(more), test=str(results / "train_last.csv"))


def test_files_without_a_split_in_their_names_are_one(tmp_path: Path):
    (tmp_path / "a.csv").write_text(csv([(f"a {n}", "xy"[n % 2]) for n in range(10)]))
    (tmp_path / "b.csv").write_text(csv([(f"b {n}", "xy"[n % 2]) for n in range(10)]))
    task = load(tmp_path)
    assert len(task.train) + len(task.dev) + len(task.test) == 20


@pytest.mark.parametrize("train", ["tickets.csv", "train.csv"])
def test_files_that_other_options_name_are_not_trained_on(train: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (train, "dd/holdout.csv", "dd/more.csv", "dd/old/a.csv", "dd/old/b.csv"):
        path = tmp_path / ("dd" if name == train else "") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(csv([(f"{path.stem} {n}", "ab"[n % 2]) for n in range(20)]))
    (tmp_path / "link").symlink_to("dd")
    given = {"dev": "link/holdout.csv", "unlabelled": "dd/more.csv", "domain": ["dd/old", "dd"]}
    task = load(Path("dd"), test="dd/../dd/holdout.csv", **given)
    assert texts(task)["train"] == [f"{Path(train).stem} {n}" for n in range(20)]
    assert not any("Not read" in note for note in task.notes)
    (tmp_path / "dd" / train).unlink()
    with pytest.raises(DataError) as caught:
        load(Path("dd"), **given)
    assert str(caught.value) == (
        "dd: no file of training rows (its files of rows are: none; those that other options name "
        "are not among them): add one whose name says train"
    )


def test_separators_that_are_not_commas_are_named(tmp_path: Path):
    (tmp_path / "a.csv").write_text(csv(numbered(*["a", "b"] * 20)))
    (tmp_path / "b.csv").write_text("sep=:\ntext:label\nlast:a\n")
    for name in ("c.csv", "d.csv"):
        (tmp_path / name).write_text(csv([(name, "b")], separator=";"))
    assert load(tmp_path, splits=("train",)).notes[1:] == (
        "The cells of b.csv are separated by ':'.",
        "The cells of c.csv, d.csv are separated by semicolons.",
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"unlabelled": {"hub": "x", "path": "y"}}, ConfigError,
            "data.unlabelled: give one of path and hub"),
        ({"unlabelled": {"file": "x"}}, ConfigError,
            "data.unlabelled.file: no such option; choose from: config_name, hub, path, split"),
        ({"domain": 3}, ConfigError, "data.domain=3: give a path, or a map such as {hub: ID}"),
        ({"domain": "nowhere.txt"}, DataError,
            "data.domain=nowhere.txt: no such file or directory: check the path"),
        ({"dev": "nowhere.csv"}, DataError, "data.dev=nowhere.csv: no such file: check the path"),
        ({"split": SplitOptions(dev=0.5, test=0.5)}, ConfigError,
            "data.split.dev=0.5 and data.split.test=0.5 leave no rows to train on: make them "
            "smaller"),
        ({"split": SplitOptions(dev=1.5)}, ConfigError,
            "data.split.dev=1.5: give a share of the rows above 0 and below 1, or their number"),
        ({"split": SplitOptions(dev=5, test=5)}, DataError,
            "mine.csv: 6 rows with 6 different texts and 2 labels are too few to make dev and test "
            "of: add rows, set data.split.dev, or give data.dev and data.test as files"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(options, error, message, tmp_path: Path):
    (tmp_path / "mine.csv").write_text(csv(numbered(*"ababab")))
    with pytest.raises(error) as caught:
        load(tmp_path / "mine.csv", **options)
    assert str(caught.value).startswith(message)


def test_bad_rows_name_file_and_line(tmp_path: Path):
    path = tmp_path / "mine.csv"
    path.write_text(csv([("one", "a"), ("two", ""), ("three", "b")]))
    with pytest.raises(DataError) as caught:
        load(path)
    assert str(caught.value) == (
        "mine.csv row 1 (mine.csv:3): label is empty. Rows without a label: 1 of 3. Fill or remove "
        "them, or set data.missing=unlabelled to read their texts without labels"
    )


def test_labels_of_different_types_are_one_line_before_rows_are_divided(tmp_path: Path):
    path = tmp_path / "mine.jsonl"
    rows = [{"text": f"text {n // 2}", "label": 1 if n % 2 else "warm"} for n in range(40)]
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match=r"mine.jsonl:2\): label is an integer, but a string at"):
        load(path)


def test_an_empty_split_and_a_missing_path_are_refused(tmp_path: Path):
    (tmp_path / "train.csv").write_text(csv(numbered(*"ab")))
    (tmp_path / "dev.csv").write_text("text,label\n")
    (tmp_path / "test.csv").write_text(csv([("x", "a")]))
    with pytest.raises(DataError, match="dev has no rows: give it some"):
        load(tmp_path)
    (tmp_path / "dev.csv").write_text("content,label\nx,a\n")
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/dev.csv: no column 'text', which is the text of train.csv: rename the column"
    )
    with pytest.raises(DataError, match="no such file or directory: check the path"):
        load(tmp_path / "nowhere")
    (tmp_path / "train.csv").unlink()
    with pytest.raises(DataError, match="no file of training rows"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="path is not set"):
        load_files(FilesOptions())


def test_a_test_file_without_labels_is_not_to_be_renamed(tmp_path: Path):
    """As competitions hand them out."""
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text(csv(numbered(*"ab" * 20)))
    test.write_text("text\nx\n")
    (tmp_path / "sample_submission.csv").write_text("id,label\n1,a\n")
    line = f"{test}: no column 'label', which is the label of train.csv: rename the column; if it "
    alone = f"give the file of training rows alone: data.path={train}"
    for path, given, remedy in (
        (tmp_path, {}, alone), (train, {"test": str(test)}, "leave out data.test"),
    ):  # fmt: skip
        with pytest.raises(DataError) as caught:
            load(path, **given)
        assert str(caught.value) == f"{line}has no labels, {remedy}"
    assert len(load(train).test) == 6
    train.rename(tmp_path / "train-1.csv")
    (tmp_path / "train-2.csv").write_text(csv(numbered(*"ab")))
    with pytest.raises(DataError, match=r"has no labels, put it in another directory$"):
        load(tmp_path)


def test_other_sources_say_which_one_reads_it(tmp_path: Path):
    (tmp_path / "mine.csv").write_text(csv(numbered(*"ab")))
    for place in (tmp_path / "mine.csv", tmp_path):
        with pytest.raises(DataError) as caught:
            load_jsonl(JsonlOptions(str(place)))
        assert str(caught.value).endswith(f": read it with data=files data.path={place}")


def test_a_class_that_is_called_na_is_none_where_classes_are_known(tmp_path: Path):
    path = tmp_path / "mine.csv"
    path.write_text(csv(numbered("NA", "1", "2")))
    options = FilesOptions(str(path))
    found = find_labelled(find_files(options), options, LabelKind.CLASS)
    with pytest.raises(DataError, match="label is 'NA' and the others are numbers"):
        list(found.examples("train", LabelKind.CLASS))
    known = found.numbered("train", LabelKind.CLASS, known=True)
    assert [example.label for _, example in known] == ["NA", "1", "2"]


def test_a_boolean_class_that_a_split_lacks_has_its_own_name(tmp_path: Path):
    path = tmp_path / "mine.jsonl"
    rows = [{"text": f"text {n}", "label": n == 0} for n in range(40)]
    path.write_text("\n".join(map(json.dumps, rows)))
    lacking = [note for note in load(path).notes if "has no row with" in note]
    assert lacking
    assert all("'true'" in note for note in lacking)
