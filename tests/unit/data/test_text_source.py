"""Texts without labels: files and data sets, and the column that is read."""

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from support.csv_files import csv, load, numbered
from tartan.data.column_names import assignment
from tartan.errors import DataError


@pytest.mark.parametrize("stream", [False, True])
def test_texts_are_in_the_tasks_column_if_a_file_has_it(stream: bool, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [(f"es {n}", "ab"[n % 2]) for n in range(20)]
    (tmp_path / "dd").mkdir()
    (tmp_path / "dd/train.csv").write_text(csv(rows, ("Kundentext", "label")))
    (tmp_path / "dd/unlabelled.csv").write_text(csv([("x", "mehr")], ("title", "Kundentext")))
    (tmp_path / "my more.csv").write_text(csv([("1", "viel mehr")], ("No", "Der Text")))
    given = {"text": "Kundentext", "domain": "dd/unlabelled.csv", "stream": stream}
    task = load(Path("dd"), **given)
    assert task.corpora["task"]["text"][-1] == "mehr"
    if stream:
        assert list(task.streamed["domain"].shards[0].texts(0)) == [["mehr"]]
    else:
        assert task.corpora["domain"]["text"][:] == ["mehr"]
    with pytest.raises(DataError) as caught:
        load(Path("dd"), **given | {"unlabelled": "my more.csv"})
    hint = '\'data.unlabelled={path: "my more.csv", text: "Der Text"}\''
    assert str(caught.value).startswith("my more.csv: no text (text, sentence, ")
    assert str(caught.value).endswith(f"name the column, for example {hint}")
    _, parsed = shlex.split(hint)[0].split("=", 1)
    found = OverridesParser.create().parse_override(f"x={parsed}").value()
    assert load(Path("dd"), **given | {"unlabelled": found}).corpora["task"]["text"][-1] == (
        "viel mehr"
    )


def test_texts_may_come_from_files_and_data_sets(tmp_path: Path, dictionary):
    (tmp_path / "mine.csv").write_text(csv(numbered(*["a", "b"] * 20)))
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "one.txt").write_text("first\n\nsecond\n")
    (tmp_path / "texts" / "two.jsonl").write_text('{"body": "third", "text": " "}\n')
    dictionary.save_to_disk(str(tmp_path / "hub"))
    path = tmp_path / "mine.csv"
    task = load(path, unlabelled=str(tmp_path / "texts"), domain={"hub": str(tmp_path / "hub")})
    assert task.corpora["task"]["text"][-2:] == ["first", "second"]
    assert len(task.corpora["domain"]) == 3
    named = load(path, unlabelled={"path": str(tmp_path / "texts" / "two.jsonl"), "text": "body"})
    assert named.corpora["task"]["text"][-1:] == ["third"]


def test_a_row_that_lacks_the_field_of_the_text_is_refused(tmp_path: Path):
    (tmp_path / "mine.csv").write_text(csv(numbered(*["a", "b"] * 20)))
    more = tmp_path / "more.jsonl"
    more.write_text('{"id": 1}\n{"id": 2, "body": "some text"}\n')
    with pytest.raises(DataError) as caught:
        load(tmp_path / "mine.csv", unlabelled={"path": str(more), "text": "body"})
    assert str(caught.value) == (
        "more.jsonl:1: the row has no field 'body' (choose from: id): add it"
    )
    more.write_text('{"text": "one"}\n{"text": "two", "text_pair": "three"}\n')
    task = load(tmp_path / "mine.csv", unlabelled=str(more))
    assert task.corpora["task"]["text"][-3:] == ["one", "two", "three"]


@pytest.mark.parametrize("name", ["my text", "it's", "a\\b c", 'say "x" \\'])
def test_a_shell_and_hydra_read_a_suggested_column_as_it_is(name: str):
    (typed,) = shlex.split(assignment("text", name))
    assert OverridesParser.create().parse_override(typed).value() == name
