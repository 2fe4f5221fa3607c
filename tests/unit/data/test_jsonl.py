import json

import pytest

from support.shared import SHARED
from tartan import LabelKind
from tartan.data import JsonlOptions, load_task
from tartan.data.task import SPLITS
from tartan.errors import ConfigError, DataError

GOOD = b'{"text": "a", "label": "animal"}\n'


TAGS = LabelKind.TAGS


def load(directory, labels=LabelKind.CLASS, splits=SPLITS, **options):
    return load_task("jsonl", JsonlOptions(dir=str(directory), **options), labels, splits)


def error(directory, **options) -> str:
    with pytest.raises(DataError) as caught:
        load(directory, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_directory_becomes_a_task(jsonl):
    task = load(jsonl(unlabelled="a hen hid\n\na yew fell\n", domain="all about pets\n"))
    assert task.name == "pets"
    assert task.labels == ("animal", "plant")
    assert task.train[0] == {"text": "a cat sat", "label": 0}
    assert (task.dev.num_rows, task.test.num_rows) == (2, 2)
    assert task.corpora["task"]["text"][3:] == ["a hen hid", "a yew fell"]
    assert task.corpora["domain"]["text"][:] == ["all about pets"]


def test_without_text_files_there_is_no_domain_corpus(jsonl):
    assert set(load(jsonl()).corpora) == {"task"}


def test_marks_line_ends_blank_lines_and_other_fields_do_not_matter(jsonl):
    plain = jsonl()
    expected = load(plain).hashes
    rows = (plain / "train.jsonl").read_bytes().replace(b"}", b', "metadata": {"n": [1]}}')
    messy = b"\xef\xbb\xbf\r\n" + rows.replace(b"\n", b"\r\n\r\n").rstrip()
    (plain / "train.jsonl").write_bytes(messy)
    assert load(plain).hashes == expected


def test_line_separators_inside_a_text_do_not_end_the_line(jsonl):
    text = "one\u2028two\x85three"
    row = json.dumps({"text": text, "label": "plant"}, ensure_ascii=False)
    assert load(jsonl(dev=row)).dev["text"][:] == [text]


def test_the_fields_can_have_other_names(jsonl):
    row = '{"sentence": "a", "class": 1}\n{"sentence": "b", "class": 2}\n'
    task = load(
        jsonl(train=row, dev=row, test=row, unlabelled="c"),
        text_field="sentence",
        label_field="class",
    )
    assert task.labels == ("1", "2")
    assert task.dropped == {"task": 2}


def test_the_directory_must_be_given():
    with pytest.raises(ConfigError) as caught:
        load_task("jsonl", JsonlOptions())
    assert str(caught.value) == (
        "data.dir is not set: give the directory of train.jsonl, dev.jsonl and test.jsonl "
        "with data.dir=..."
    )


def test_a_missing_directory_is_named(tmp_path):
    assert error(tmp_path / "nowhere") == (
        f"{tmp_path}/nowhere: no such directory: set data.dir=... to the task's directory"
    )


def test_a_missing_file_is_named_beside_those_that_are_there(jsonl):
    directory = jsonl()
    (directory / "dev.jsonl").rename(directory / "valid.jsonl")
    assert error(directory) == (
        f"{directory}/dev.jsonl: no such file: add it, or rename one of the directory's "
        ".jsonl files (test.jsonl, train.jsonl, valid.jsonl)"
    )


def test_a_file_that_cannot_be_opened_is_named(jsonl):
    directory = jsonl()
    (directory / "dev.jsonl").unlink()
    (directory / "dev.jsonl").mkdir()
    assert error(directory) == (
        f"{directory}/dev.jsonl: cannot be read (Is a directory): check the file"
    )


BAD_LINES = {
    b'{"text": "a", "label": }': (
        "not JSON at column 24 (Expecting value): write one JSON object on each line"
    ),
    b'["a", "animal"]': "the line is a list: write one JSON object on each line",
    b"7": "the line is an integer: write one JSON object on each line",
    b'{"txt": "a", "label": "animal"}': (
        "the row has no field 'text' (did you mean 'txt'?): add it, or set data.text_field=..."
    ),
    b'{"text": "a", "class": "animal"}': (
        "the row has no field 'label' (choose from: class, text): "
        "add it, or set data.label_field=..."
    ),
    b'{"text": null, "label": "animal"}': "text is null: make it a string",
    b'{"text": ["a"], "label": "animal"}': "text is a list: make it a string",
    b'{"text": " \\t", "label": "animal"}': "text is empty: fill it or remove the row",
    b'{"text": "a\\u0000b", "label": "animal"}': "text holds a NUL character: remove it",
    b'{"text": "a\\ud83d", "label": "animal"}': (
        "character 2 of text is half of a surrogate pair: repair the text's encoding"
    ),
    b'{"text": "a", "label": null}': ("label is null: make it a string, an integer or a boolean"),
    b'{"text": "a", "label": 1.5}': ("label is a float: make it a string, an integer or a boolean"),
    b'{"text": "a", "label": ""}': "label is empty: fill it or remove the row",
    b'{"text": "a", "label": "animal"}\0': (
        "the line holds a NUL byte, it is not UTF-8 text: save the file as UTF-8 text"
    ),
    b'{"text": "caf\xe9", "label": "animal"}': (
        "byte 14 of the line (0xe9, 'é' in Windows-1252) is not UTF-8: save the file as UTF-8 text"
    ),
    b'{"text": "a", "label": "animla"}': (
        "label 'animla' does not occur in train: did you mean 'animal'? (train has animal, plant)"
    ),
    b'{"text": "a", "label": true}': "label is a boolean, but a string at ",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_is_named_with_what_to_do(jsonl, line):
    directory = jsonl(dev=GOOD + b"\n" + line + b"\n" + GOOD)
    message = error(directory)
    assert message.startswith(f"{directory}/dev.jsonl:3: {BAD_LINES[line]}")
    assert message.endswith(BAD_LINES[line]) or "throughout" in message


def test_json_too_deep_to_read_is_an_error_of_its_line(jsonl):
    directory = jsonl(dev=GOOD + b"[" * 200_000)
    assert error(directory).startswith(f"{directory}/dev.jsonl:2: JSON that cannot be read")


@pytest.mark.parametrize("content", ["", "\n \n"])
@pytest.mark.parametrize("name", ["train.jsonl", "test.jsonl", "domain.txt", "unlabelled.txt"])
def test_an_empty_file_is_an_error(jsonl, name, content):
    directory = jsonl(**{name.partition(".")[0]: content})
    assert error(directory) == f"{directory}/{name}: the file is empty: fill it or remove it"


def test_a_bad_line_of_a_text_file_is_named(jsonl):
    directory = jsonl(domain=b"fine\n\xff\xfe\n")
    assert error(directory) == (
        f"{directory}/domain.txt:2: byte 1 of the line (0xff, 'ÿ' in Windows-1252) is not UTF-8: "
        "save the file as UTF-8 text"
    )


def lines(*rows):
    return "\n".join(json.dumps(row) for row in rows)


def test_pairs_have_a_second_text(jsonl):
    rows = [
        {"text": "a", "text_pair": "b", "label": "x"},
        {"text": "c", "text_pair": "d", "label": "y"},
    ]
    task = load(jsonl(train=lines(*rows), dev=lines(rows[0]), test=lines(rows[1]), unlabelled="z"))
    assert task.train[0] == {"text": "a", "text_pair": "b", "label": 0}


def test_the_second_text_can_have_another_name_and_must_then_be_there(jsonl):
    rows = [{"text": "a", "b": "b", "label": "x"}, {"text": "c", "b": "d", "label": "y"}]
    directory = jsonl(train=lines(*rows), dev=lines(rows[0]), test=lines(rows[1]), unlabelled="z")
    assert load(directory, pair_field="b").train["text_pair"][:] == ["b", "d"]
    assert "text_pair" not in load(directory).train.column_names
    assert error(directory, pair_field="c") == (
        f"{directory}/train.jsonl:1: the row has no field 'c' (choose from: b, label, text): "
        "add it, or set data.pair_field=..."
    )


def test_numbers_are_read_as_floats(jsonl):
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": -2.5}]
    directory = jsonl(train=lines(*rows), dev=lines(rows[0]), test=lines(rows[1]), unlabelled="z")
    task = load(directory, labels=LabelKind.NUMBER)
    assert task.labels == ("score",)
    assert task.train["label"][:] == [1.0, -2.5]


def test_words_are_read_with_their_tags(jsonl):
    rows = [
        {"tokens": ["Ann", "left"], "tags": ["B-PER", "O"], "text": 3},
        {"tokens": ["No"], "tags": ["O"]},
    ]
    task = load(jsonl(train=lines(*rows), dev=lines(rows[1]), test=lines(rows[1])), labels=TAGS)
    assert task.labels == ("B-PER", "O")
    assert task.train[0] == {"text": "Ann left", "words": ["Ann", "left"], "label": [0, 1]}
    assert task.corpora["task"]["text"][:] == ["Ann left"], "'No' stands in dev"


def test_words_and_tags_can_have_other_names(jsonl):
    row = lines({"words": ["a", "b"], "ner": ["O", "B-X"]})
    directory = jsonl(train=row, dev=row, test=row, unlabelled="c")
    options = {"tokens_field": "words", "tags_field": "ner"}
    assert load(directory, labels=TAGS, **options).labels == ("B-X", "O")


TAGGED = {"tokens": ["a", "b"], "tags": ["O", "B-PER"]}
BAD_ROWS = [
    (TAGS, {"tokens": ["a", "b"], "tags": ["O"]},
     "tokens has 2 entries and tags has 1: give each token one tag"),
    (TAGS, {"tokens": "a b", "tags": ["O"]}, "tokens is a string: make it a list of strings"),
    (TAGS, {"tokens": [], "tags": []}, "tokens is empty: fill it or remove the row"),
    (TAGS, {"tokens": ["a", 3], "tags": ["O", "O"]},
     "entry 2 of tokens is an integer: make it a string"),
    (TAGS, {"tokens": ["a", " "], "tags": ["O", "O"]},
     "entry 2 of tokens is empty: fill it or remove the row"),
    (TAGS, {"tokens": ["a"], "tags": [None]}, "entry 1 of tags is null: make it a string"),
    (TAGS, {"tokens": ["a"], "tags": ["B-PRE"]},
     "tag 'B-PRE' does not occur in train: did you mean 'B-PER'? (train has B-PER, O)"),
    (TAGS, {"tokens": ["a"]},
     "the row has no field 'tags' (choose from: tokens): add it, or set data.tags_field=..."),
    (LabelKind.NUMBER, {"text": "a", "label": "1.5"}, "label is a string: make it a number"),
    (LabelKind.NUMBER, {"text": "a", "label": True}, "label is a boolean: make it a number"),
    (LabelKind.NUMBER, {"text": "a", "label": None}, "label is null: make it a number"),
    (LabelKind.NUMBER, {"text": "a", "label": float("nan")},
     "label is nan: make it a finite number"),
    (LabelKind.NUMBER, {"text": "a", "label": 10**400}, "label is inf: make it a finite number"),
]  # fmt: skip


@pytest.mark.parametrize(("labels", "row", "message"), BAD_ROWS)
def test_a_bad_row_of_another_kind_is_named_with_what_to_do(jsonl, labels, row, message):
    good = lines(TAGGED if labels is TAGS else {"text": "b", "label": 0.5})
    more = "" if labels is TAGS else lines({"text": "c", "label": 1.5})
    directory = jsonl(train=f"{good}\n{more}", dev=f"{good}\n{lines(row)}", test=good)
    assert error(directory, labels=labels) == f"{directory}/dev.jsonl:2: {message}"


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (
            {},
            "the row has no second text, and {}/train.jsonl:1 has one: give every row one, or none",
        ),
        ({"text_pair": None}, "the second text is null: make it a string"),
        ({"text_pair": ""}, "the second text is empty: fill it or remove the row"),
    ],
)
def test_a_row_without_the_second_text_of_the_others_is_named(jsonl, pair, message):
    rows = [{"text": "a", "text_pair": "b", "label": label} for label in "xy"]
    bad = {"text": "c", "label": "x", **pair}
    directory = jsonl(train=lines(*rows), dev=lines(rows[0]), test=lines(rows[1], bad))
    assert error(directory) == f"{directory}/test.jsonl:2: {message.format(directory)}"


def test_a_second_text_that_the_others_lack_is_named(jsonl):
    bad = lines({"text": "c", "text_pair": "d", "label": "plant"})
    directory = jsonl(dev=bad)
    assert error(directory) == (
        f"{directory}/dev.jsonl:1: the row has a second text, and {directory}/train.jsonl:1 has "
        "none: give every row one, or none"
    )


def test_train_can_be_read_alone(jsonl):
    directory = jsonl()
    for name in ("dev", "test"):
        (directory / f"{name}.jsonl").unlink()
    task = load(directory, splits=("train",))
    assert (len(task.train), len(task.dev), len(task.test)) == (3, 0, 0)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published tasks are not beside the checkout")
@pytest.mark.parametrize(
    ("name", "sizes", "classes", "dropped"),
    [("citation_intent", (1688, 114, 139), 6, 168), ("sciie", (3219, 455, 974), 7, 0)],
)
def test_published_tasks_are_read_whole(name, sizes, classes, dropped):
    task = load(SHARED / "data" / name)
    assert (task.train.num_rows, task.dev.num_rows, task.test.num_rows) == sizes
    assert len(task.labels) == classes
    assert task.dropped == {"task": dropped, "domain": 0}
    assert task.corpora["task"].num_rows == sizes[0] - dropped


def test_one_field_is_not_two_things(jsonl):
    directory = jsonl()
    for name, other in (("text", "label"), ("pair", "text")):
        with pytest.raises(
            ConfigError, match=rf"^data.\w+_field={other} data.\w+_field={other}: one"
        ):
            load(directory, **{f"{name}_field": other})
    for path in directory.glob("*.jsonl"):
        path.write_text(path.read_text().replace('"text"', '"text_pair"'))
    assert not load(directory, text_field="text_pair").pairs
