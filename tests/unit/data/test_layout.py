"""Which files of a directory are which split: by their names."""

import json
from pathlib import Path

import datasets
import pytest

from support.csv_files import csv, load, numbered
from tartan.data.layout import part_of
from tartan.errors import DataError


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("TestData.csv", "test"), ("testset.csv", "test"), ("myTrain2.csv", "train"),
        ("TRAIN.CSV", "train"), ("IMDBTest.csv", "test"), ("valdata-1.csv", "dev"),
        ("TrainTest.csv", None), ("contest.csv", None), ("Testament.csv", None),
        ("TestData/rows.csv", "test"), ("devsets.csv", None), ("TESTdata.csv", "test"),
        ("UnLabelled.csv", "unlabelled"),
    ],
)  # fmt: skip
def test_a_word_of_a_name_says_what_a_file_is(name: str, part: str | None):
    assert part_of(Path(name)) == part


def test_what_datasets_saved_is_read_with_the_names_of_classes(tmp_path: Path, dictionary):
    dictionary.save_to_disk(tmp_path / "all")
    task = load(tmp_path / "all")
    assert task.labels == ("plant", "animal")
    assert [len(rows) for rows in (task.train, task.dev, task.test)] == [3, 2, 2]
    assert len(task.notes) == 1  # none that a file was not read
    rows = datasets.concatenate_datasets([dictionary["train"]] * 10)
    rows = rows.add_column("text_pair", [f"text {n}" for n in range(30)])
    rows.save_to_disk(tmp_path / "one", num_shards=2)
    datasets.load_from_disk(tmp_path / "one").map(lambda row: {"text": row["text"].upper()})
    assert list((tmp_path / "one").glob("cache-*.arrow"))
    task = load(tmp_path / "one", unlabelled=str(tmp_path / "one"))
    assert task.labels == ("plant", "animal")
    assert len(task.train) + len(task.dev) + len(task.test) == 30
    assert not any(text.isupper() for text in task.corpora["task"]["text"])
    assert len(task.notes) == 2


def test_a_file_of_the_users_own_with_such_a_name_is_read(tmp_path: Path):
    for name in ("city", "state"):
        (tmp_path / f"{name}.json").write_text(
            json.dumps([{"text": f"{name} {n}", "label": "ab"[n % 2]} for n in range(10)])
        )
    task = load(tmp_path)
    assert len(task.train) + len(task.dev) + len(task.test) == 20


def test_lines_name_the_first_of_many_files(tmp_path: Path):
    names = [f"train-{number}.csv" for number in range(5)]
    for name in names:
        (tmp_path / name).write_text(csv([(f"{name} {n}", "ab"[n % 2]) for n in range(8)]))
        (tmp_path / name.replace("train", "more")).touch()
    task = load(tmp_path)
    first = "train-0.csv, train-1.csv, train-2.csv and 2 more"
    assert task.notes[0].startswith(f"Read train from {first}; ")
    assert task.notes[1].endswith("dev or test: more-0.csv, more-1.csv, more-2.csv and 2 more.")
    assert task.notes[2].startswith(f"{first} was divided into ")
    assert task.division is not None
    assert task.division.file == ", ".join(names)  # splits.json counts rows through all of them
    with (tmp_path / names[4]).open("a") as file:
        file.write("one,\n")
    with pytest.raises(DataError, match=rf"^{first} row 40 \(train-4.csv:10\): label is empty"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["test.xlsx", "dev/rows.csv.zip", "unlabelled.pkl"])
@pytest.mark.parametrize("train", ["train.csv", "mine.csv"])
def test_a_part_that_cannot_be_read_is_not_left_out(name: str, train: str, tmp_path: Path):
    (tmp_path / train).write_text(csv(numbered(*"ab" * 20)))
    for other in ("README.md", "LICENSE", "runs/.hydra/config.yaml", "runs/test.xlsx", name):
        (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / other).touch()
    line = rf"^{tmp_path / name}: '.\w+' is not a known format \(.*, or move it out of {tmp_path}$"
    with pytest.raises(DataError, match=line):
        load(tmp_path)
    part = Path(name).parts[0].partition(".")[0]
    (tmp_path / train).rename(tmp_path / "train.csv")
    (tmp_path / f"{part}.csv").write_text(csv([("one", "a"), ("two", "b")]))
    load(tmp_path)
    (tmp_path / f"{part}.csv").rename(tmp_path / "more.csv")
    load(tmp_path, **{part: str(tmp_path / "more.csv")})


@pytest.mark.parametrize("name", ["train.xlsx", "mine.xlsx"])
def test_a_spreadsheet_alone_is_one_line(name: str, tmp_path: Path):
    (tmp_path / name).touch()
    (tmp_path / "README.txt").touch()
    with pytest.raises(DataError, match=r"'.xlsx' is not a known .*: save the sheet as CSV"):
        load(tmp_path)
