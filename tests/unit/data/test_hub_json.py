"""JSON files of `data=hub`: values as they are written, errors with file and line."""

import json
from pathlib import Path

import pytest

from support.hub_files import labels_of, load, refusal, write

ROWS = [{"text": "a red", "label": "warm"}, {"text": "a blue", "label": "cold"}]
ODD = [
    ({"text": 12345, "label": "cold"}, "text is an integer: make it a string"),
    ({"text": True, "label": "cold"}, "text is a boolean: make it a string"),
    ({"text": ["a"], "label": "cold"}, "text is a list: make it a string"),
    ({"text": {"a": 1}, "label": "cold"}, "text is an object: make it a string"),
    ({"text": None, "label": "cold"}, "text is null: make it a string"),
    ({"text": "a", "label": 1}, "label is an integer, but a string at D train row 0 (train.json:1"),
    ({"text": "a", "label": True}, "label is a boolean, but a string at D train row 0 (train.json"),
    ({"text": "a", "label": 1.5}, "label is a float: make it a string, an integer or a boolean"),
    ({"text": "a", "label": ["x"]}, "label is a list: make it a string, an integer or a boolean"),
    ({"text": "a", "label": None}, "the row is unlabelled (label None; it reads as missing)"),
    ({"text": "a", "label": " "}, "label is empty: fill it or remove the row"),
    ({"text": "a"}, "the row has no field 'label' (choose from: text): add it, or set data.label_"),
    ({"text": "a", "label": "cold", "text_pair": "b"}, "the row has a second text, and D train ro"),
]  # fmt: skip


@pytest.mark.parametrize("form", ["lines", "list", "pretty"])
@pytest.mark.parametrize(("row", "message"), ODD)
def test_one_odd_value_in_a_json_column_is_refused_at_its_row(
    tmp_path: Path, row: dict[str, object], message: str, form: str
):
    rows = [*ROWS, row, *ROWS]
    written, line = json.dumps(rows), 1
    if form == "lines":
        written, line = "\n".join(map(json.dumps, rows)), 3
    elif form == "pretty":
        written = json.dumps(rows, indent=2)
        line = 10
    found = refusal(write(tmp_path / "D", written, "json"))
    expected = f"D train row 2 (train.json:{line}): {message}"
    assert found.replace("(train.json:2)", "(train.json:1)").startswith(expected)


def test_texts_of_json_are_what_they_were(tmp_path: Path):
    texts = ['say "warm" é', "tab\tand\nnewline", "12345", "null", "\\", "[1]", "\u2028x"]
    rows = [{"text": text, "label": f"{n % 2}"} for n, text in enumerate(texts)]
    other = json.dumps([{"text": "x", "label": "1"}])
    for ascii_only in (True, False):
        for written in (json.dumps(rows, ensure_ascii=ascii_only),
                        "\n".join(json.dumps(r, ensure_ascii=ascii_only) for r in rows),
                        json.dumps(rows, indent=3, ensure_ascii=ascii_only)):  # fmt: skip
            task = load(write(tmp_path / "D", written, "json", other))
            assert task.train["text"][:] == texts
            assert labels_of(task) == list("0101010")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('[{"text": "a", "label": "x"}', "train.json:1: not JSON: ']' is missing before the end o"),
        ('[\n{"text": "a", "label": "x"},\n]', "train.json:3: an entry of the list is not an obje"),
        ('["a", "b"]', "train.json:1: an entry of the list is not an object: write a list of obj"),
        ('[{"text": "a",\n "label": x}]', "train.json:2: not JSON at column 11 (Expecting value):"),
        ('[{"text": "a", "label": "x"}]\n{', "train.json:2: there is more after the end of the li"),
        ('[{"text": "a", "text": "x"}]', "train.json:1: the row has the field 'text' twice: leave"),
        ('{"data": [{"text": "a"}]}', "data.text_column=text: no such column in D: choose from: d"),
        ('{\n "text": "a"}', "train.json:1: not JSON at column 2 (Expecting property name enclose"),
        ("[]", "train.json: the file is empty: fill it or remove it"),
        ("[{}]", "train.json: the rows have no fields: give every row a text"),
    ],
)  # fmt: skip
def test_json_that_is_not_rows_is_refused(tmp_path: Path, written: str, message: str):
    assert refusal(write(tmp_path / "D", written, "json")).startswith(message)


def test_a_long_list_on_one_line_is_read_object_by_object(tmp_path: Path):
    rows = [{"text": f"text {n} " + "é" * (n % 300), "label": f"{n % 3}"} for n in range(3000)]
    rows[7]["text"] = "long " * 100_000
    other = json.dumps([{"text": "x", "label": "1"}])
    task = load(write(tmp_path / "D", json.dumps(rows, ensure_ascii=False), "json", other))
    assert task.train["text"][:] == [row["text"] for row in rows]
