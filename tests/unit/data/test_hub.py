from pathlib import Path

import datasets
import pytest

from tartan import LabelKind
from tartan.data import HubOptions, HubSplits, load_task
from tartan.data.hub import load_splits
from tartan.errors import ConfigError, DataError


def load(name, labels=LabelKind.CLASS, **options):
    return load_task("hub", HubOptions(name=str(name), **options), labels)


def error(kind, name, **options) -> str:
    with pytest.raises(kind) as caught:
        load(name, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def saved(tmp_path: Path, dictionary) -> Path:
    save(dictionary, tmp_path / "pets")
    return tmp_path / "pets"


def save(dictionary, path):
    datasets.disable_progress_bars()
    dictionary.save_to_disk(path)
    datasets.enable_progress_bars()


def write(dictionary, directory: Path, kind: str) -> Path:
    directory.mkdir()
    for split, rows in dictionary.items():
        getattr(rows, f"to_{kind}")(directory / f"{split}.{kind}")
    return directory


def test_class_ids_become_names_in_their_declared_order(saved):
    task = load(saved)
    assert task.name == "pets"
    assert task.labels == ("plant", "animal")
    assert task.train[0] == {"text": "a cat sat", "label": 1}
    assert (task.train.num_rows, task.dev.num_rows, task.test.num_rows) == (3, 2, 2)
    assert task.corpora["task"]["text"][:] == task.train["text"][:]


@pytest.mark.parametrize(
    ("kind", "labels"),
    [("csv", ("0", "1")), ("json", ("0", "1")), ("parquet", ("plant", "animal"))],
)
def test_a_directory_of_data_files_is_read(tmp_path, dictionary, kind, labels):
    task = load(write(dictionary, tmp_path / "pets", kind))
    assert task.labels == labels, "parquet alone stores the names of the classes"
    assert task.train[0] == {"text": "a cat sat", "label": 1}
    assert task.dev["label"][:] == [1, 0]


def test_columns_and_splits_can_have_other_names(tmp_path, dictionary):
    renamed = datasets.DatasetDict(
        {"a": dictionary["train"], "b": dictionary["validation"], "c": dictionary["test"]}
    ).rename_columns({"text": "sentence", "label": "class"})
    save(renamed, tmp_path / "pets")
    task = load(
        tmp_path / "pets",
        text_column="sentence",
        label_column="class",
        splits=HubSplits("a", "b", "c"),
    )
    assert task.test["text"][:] == ["a pig lay", "a rose died"]


@pytest.fixture
def ten(tmp_path) -> Path:
    """A dataset of ten rows in one split."""
    rows = {"text": [f"text {n}" for n in range(10)], "label": ["x", "y"] * 5}
    one = datasets.DatasetDict(train=datasets.Dataset.from_dict(rows))
    return write(one, tmp_path / "ten", "csv")


def test_a_split_can_be_a_slice(ten):
    task = load(ten, splits=HubSplits("train[:60%]+train[9:]", "train[6:8]", "train[-2:-1]"))
    assert [text[-1] for text in task.train["text"]] == list("0123459")
    assert [text[-1] for text in task.dev["text"]] == list("67")
    assert [text[-1] for text in task.test["text"]] == ["8"]


def test_a_single_saved_dataset_is_its_train_split(tmp_path, dictionary):
    save(dictionary["train"], tmp_path / "pets")
    assert list(load_splits(str(tmp_path / "pets"), None)) == ["train"]


def test_a_text_file_gives_the_domain_corpus(saved, tmp_path):
    (tmp_path / "domain.txt").write_text("all about pets\na cow ate\n")
    task = load(saved, domain=str(tmp_path / "domain.txt"))
    assert task.corpora["domain"]["text"][:] == ["all about pets"]
    assert task.dropped["domain"] == 1


def test_the_name_must_be_given():
    with pytest.raises(ConfigError) as caught:
        load_task("hub", HubOptions())
    assert str(caught.value) == (
        "data.name is not set: give the dataset's id or its directory with data.name=..."
    )


def test_a_directory_that_is_not_there_is_not_looked_for_on_the_hub():
    assert error(DataError, "./nowhere") == (
        "./nowhere: no such directory: set data.name to a directory or a hub id"
    )


def test_a_dataset_that_cannot_be_loaded_says_why(tmp_path):
    (tmp_path / "train.json").write_text('{"text": ')
    assert error(DataError, tmp_path) == (
        f"{tmp_path}/train.json:1: not JSON at column 9 (Expecting value): write one JSON object "
        "on each line"
    )


def test_a_directory_without_data_says_why(tmp_path):
    message = error(DataError, tmp_path)
    assert message.startswith(f"data.name={tmp_path} cannot be loaded (")
    assert message.endswith("): check the id or directory, and data.config_name")


def test_an_unknown_split_is_answered_with_those_that_are_there(saved):
    assert error(ConfigError, saved, splits=HubSplits(dev="dev")) == (
        "data.splits.dev=dev: no split 'dev': choose from: test, train, validation"
    )
    assert error(ConfigError, saved, splits=HubSplits(train="train+trian[:5]")) == (
        "data.splits.train=train+trian[:5]: no split 'trian': did you mean 'train'?"
    )


@pytest.mark.parametrize("spec", ["train[8]", "train[:200%]", "train[a:]", "train[3:2:1]"])
def test_a_slice_that_cannot_be_read_is_refused(ten, spec):
    message = error(ConfigError, ten, splits=HubSplits(dev=spec))
    assert message.startswith(f"data.splits.dev={spec} is not a split or slice (")
    assert message.endswith("): write it like train[:90%]")


def test_an_unknown_column_is_answered_with_the_nearest(saved):
    assert error(ConfigError, saved, text_column="txt") == (
        f"data.text_column=txt: no such column in {saved}: did you mean 'text'?"
    )
    assert error(ConfigError, saved, label_column="class") == (
        f"data.label_column=class: no such column in {saved}: choose from: label, text"
    )


def replaced(dictionary, split, rows, features=None):
    """The dictionary with other rows in one split."""
    features = features or dictionary["train"].features
    other = datasets.Dataset.from_list(rows, features=features)
    return datasets.DatasetDict({**dictionary, split: other})


BAD_ROWS = [
    (
        {"text": "a", "label": -1},
        "the row is unlabelled (label -1): fill it, remove the row, or choose splits with labels "
        "in data.splits",
    ),
    (
        {"text": "a", "label": None},
        "the row is unlabelled (label None; it reads as missing): fill it, remove the row, or "
        "choose splits with labels in data.splits",
    ),
    ({"text": None, "label": 0}, "text is null: make it a string"),
    ({"text": " ", "label": 0}, "text is empty: fill it or remove the row"),
]


@pytest.mark.parametrize(("row", "message"), BAD_ROWS)
def test_a_bad_row_is_named(tmp_path, dictionary, row, message):
    rows = [{"text": "fine", "label": 0}, row]
    save(replaced(dictionary, "test", rows), tmp_path / "pets")
    assert error(DataError, tmp_path / "pets") == f"{tmp_path}/pets test row 1: {message}"


def test_a_declared_class_that_train_lacks_is_refused_in_test(tmp_path, dictionary):
    names = datasets.ClassLabel(names=["plant", "animal", "fungus"])
    wider = dictionary.cast_column("label", names)
    rows = [{"text": "a mould spread", "label": 2}]
    save(replaced(wider, "test", rows), tmp_path / "pets")
    assert error(DataError, tmp_path / "pets") == (
        f"{tmp_path}/pets test row 0: label 'fungus' does not occur in train: "
        "choose from: animal, plant"
    )


def test_one_column_is_not_two_things(tmp_path, dictionary):
    save(dictionary, tmp_path / "pets")
    assert error(ConfigError, tmp_path / "pets", pair_column="text") == (
        "data.pair_column=text data.text_column=text: one column is given twice: name two columns"
    )


def test_labels_that_are_fractions_are_refused(tmp_path, dictionary):
    floats = dictionary.cast_column("label", datasets.Value("float32"))
    save(floats, tmp_path / "whole")
    assert load(tmp_path / "whole").labels == ("0", "1")
    rows = [{"text": "a", "label": 0.5}, {"text": "b", "label": 1.0}]
    save(replaced(floats, "train", rows), tmp_path / "pets")
    assert error(DataError, tmp_path / "pets") == (
        f"{tmp_path}/pets train row 0: label is a float: make it a string, an integer or a boolean"
    )


def tagged(ids, dev_ids=(0, 0)):
    """A dataset of two words a row; tag ids in an order that is not alphabetical."""
    names = datasets.ClassLabel(names=["O", "I-PER", "B-PER"])
    features = datasets.Features(
        tokens=datasets.List(datasets.Value("string")), ner_tags=datasets.List(names)
    )
    rows = {"train": ids, "validation": [dev_ids], "test": [(0, 2)]}
    return datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict(
                {"tokens": [[split, f"w{n}"] for n in range(len(tags))], "ner_tags": tags},
                features=features,
            )
            for split, tags in rows.items()
        }
    )


def test_tag_ids_become_names_in_their_declared_order(tmp_path):
    save(tagged([(2, 1), (0, 0)]), tmp_path / "ner")
    task = load(tmp_path / "ner", LabelKind.TAGS, tags_column="ner_tags")
    assert task.labels == ("O", "I-PER", "B-PER")
    assert task.train[0] == {"text": "train w0", "words": ["train", "w0"], "label": [2, 1]}


def test_an_unlabelled_word_is_refused(tmp_path):
    save(tagged([(2, 1), (0, 0)], dev_ids=(0, -1)), tmp_path / "ner")
    assert error(DataError, tmp_path / "ner", labels=LabelKind.TAGS, tags_column="ner_tags") == (
        f"{tmp_path}/ner validation row 0: the row is unlabelled (label -1): fill it, remove the "
        "row, or choose splits with labels in data.splits"
    )


def test_an_unknown_tags_column_is_answered_with_the_nearest(tmp_path):
    save(tagged([(2, 1), (0, 0)]), tmp_path / "ner")
    assert error(ConfigError, tmp_path / "ner", labels=LabelKind.TAGS) == (
        f"data.tags_column=tags: no such column in {tmp_path}/ner: did you mean 'ner_tags'?"
    )


def test_numbers_of_any_type_are_read_as_floats(tmp_path, dictionary):
    for name, kind in {
        "float32": datasets.Value("float32"),
        "int8": datasets.Value("int8"),
    }.items():
        save(dictionary.cast_column("label", kind), tmp_path / name)
        task = load(tmp_path / name, LabelKind.NUMBER)
        assert task.train["label"][:] == [1.0, 1.0, 0.0]


def test_a_row_without_its_number_is_refused(tmp_path, dictionary):
    floats = dictionary.cast_column("label", datasets.Value("float32"))
    save(replaced(floats, "test", [{"text": "a", "label": None}]), tmp_path / "pets")
    assert error(DataError, tmp_path / "pets", labels=LabelKind.NUMBER).startswith(
        f"{tmp_path}/pets test row 0: the row is unlabelled (label None; it reads as missing)"
    )


def test_pairs_are_read_from_two_columns(tmp_path, dictionary):
    both = datasets.DatasetDict(
        {s: rows.add_column("text_pair", [f"{s} {n}" for n in range(len(rows))])
         for s, rows in dictionary.items()}
    )  # fmt: skip
    save(both, tmp_path / "default")
    save(both.rename_column("text_pair", "hypothesis"), tmp_path / "named")
    expected = {"text": "a cat sat", "text_pair": "train 0", "label": 1}
    assert load(tmp_path / "default").train[0] == expected
    assert load(tmp_path / "named", pair_column="hypothesis").train[0] == expected
    assert "text_pair" not in load(tmp_path / "named").train.column_names
    assert "no such column" in error(ConfigError, tmp_path / "named", pair_column="hypo")


def test_nothing_is_written_to_the_terminal(saved, tmp_path, dictionary, capfd):
    write(dictionary, tmp_path / "files", "parquet")
    capfd.readouterr()
    load(tmp_path / "files")
    assert capfd.readouterr() == ("", "")
