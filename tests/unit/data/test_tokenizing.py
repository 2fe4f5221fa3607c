import datasets
import pytest
from transformers import PreTrainedTokenizerFast

from tartan.data import Stream, tokenize, train_tokenizer
from tartan.errors import ConfigError

CLS, SEP = 2, 3


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(["one two three four five"], 200)


def dataset(*texts, **more):
    return datasets.Dataset.from_dict({"text": list(texts), **more})


def test_rows_hold_ids_and_labels_alone(tokenizer):
    rows = tokenize(dataset("one", "two one", label=[1, 0], extra=["x", "y"]), tokenizer, 8).rows
    one, two = tokenizer.convert_tokens_to_ids(["one", "two"])
    assert set(rows.column_names) == {"input_ids", "label"}
    assert rows["input_ids"][:] == [[CLS, one, SEP], [CLS, two, one, SEP]]
    assert rows["label"][:] == [1, 0]


def test_unlabelled_rows_hold_ids_alone(tokenizer):
    assert tokenize(dataset("one"), tokenizer, 8).rows.column_names == ["input_ids"]


def test_long_rows_are_cut_between_their_special_tokens_and_counted(tokenizer):
    tokenized = tokenize(dataset("one two three", "one two", "one two three four"), tokenizer, 4)
    one, two = tokenizer.convert_tokens_to_ids(["one", "two"])
    assert tokenized.rows["input_ids"][:] == [[CLS, one, two, SEP]] * 3
    assert tokenized.truncated == 2


def test_a_row_of_exactly_the_maximum_is_not_truncated(tokenizer):
    assert tokenize(dataset("one two"), tokenizer, 4).truncated == 0


def test_a_text_without_tokens_is_kept_as_its_special_tokens(tokenizer):
    assert tokenize(dataset("\u200b", "one"), tokenizer, 8).rows[0] == {"input_ids": [CLS, SEP]}


def test_rows_keep_their_order_over_many_batches(tokenizer):
    names = ["one", "two", "three", "four", "five"]
    rows = tokenize(dataset(*names * 500), tokenizer, 8).rows
    ids = tokenizer.convert_tokens_to_ids(names)
    assert [row[1] for row in rows["input_ids"]] == ids * 500


def test_rows_feed_a_stream(tokenizer):
    rows = tokenize(dataset("one", "two", label=[1, 0]), tokenizer, 8).rows
    assert {row["label"] for row in Stream(rows, 2, 0, "classification").rows(0)} == {0, 1}


def test_a_maximum_without_room_for_text_is_refused(tokenizer):
    with pytest.raises(ConfigError) as caught:
        tokenize(dataset("one"), tokenizer, 2)
    assert str(caught.value) == (
        "a maximum length of 2 leaves no room for text beside 2 special tokens: make it at least 3"
    )


def test_nothing_is_written_to_the_terminal(tokenizer, capfd):
    tokenizer.model_max_length = 4
    tokenize(dataset("one two three four five"), tokenizer, 6)
    assert capfd.readouterr() == ("", "")
    assert not datasets.are_progress_bars_disabled(), "the caller's own setting is restored"
