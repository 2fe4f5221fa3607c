"""Texts of more tokens than a body reads."""

import pytest
from datasets import Dataset

from tartan.data import tokenize
from tartan.data.long_texts import check_way
from tartan.errors import ConfigError
from tartan.packed import Packed
from tartan.testing import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
TEXT = "we train the network and show that our results are better"
IDS = TOKENIZER(TEXT, add_special_tokens=False)["input_ids"]
CLS, SEP = TOKENIZER.cls_token_id, TOKENIZER.sep_token_id


def read(long, length=8, max_chunks=8, **columns):
    return tokenize(Dataset.from_dict(columns), TOKENIZER, length, long=long, max_chunks=max_chunks)


@pytest.mark.parametrize("length", [8, 9, 12, 13, 40])
def test_head_tail_keeps_the_first_and_the_last_tokens(length):
    found = read("head_tail", length, text=[TEXT, "the model"])
    room = length - 2
    kept = IDS if room >= len(IDS) else [*IDS[: room - room // 2], *IDS[-(room // 2) :]]
    assert found.rows[0]["input_ids"] == [CLS, *kept, SEP]
    assert found.rows[1]["input_ids"] == TOKENIZER("the model")["input_ids"]
    assert found.counts.truncated == (room < len(IDS))


def test_head_tail_of_a_pair_shortens_each_text_for_itself():
    found = tokenize(
        Dataset.from_dict({"text": [TEXT], "text_pair": ["one two three"]}),
        TOKENIZER,
        10,
        segments=True,
        long="head_tail",
    ).rows[0]
    cut = tokenize(
        Dataset.from_dict({"text": [TEXT], "text_pair": ["one two three"]}),
        TOKENIZER,
        10,
        segments=True,
    ).rows[0]
    assert found["token_type_ids"] == cut["token_type_ids"]
    second = TOKENIZER("one two three", add_special_tokens=False)["input_ids"]
    assert found["input_ids"] == [CLS, *IDS[:2], *IDS[-2:], SEP, *second, SEP]


def test_words_of_the_head_and_the_tail_keep_their_tags():
    words = TEXT.split()
    tags = list(range(len(words)))
    row = read("head_tail", 6, text=[TEXT], words=[words], label=[tags]).rows[0]
    assert row["label"] == row["kept"] == [0, 1, 9, 10]
    assert row["word_starts"] == [1, 2, 3, 4]


def test_chunks_hold_the_whole_text():
    found = read("chunks", 6, text=[TEXT, "the model"], label=[1, 0])
    row = found.rows[0]
    assert row["chunks"] == [6, 6, 5]
    parts = [row["input_ids"][:6], row["input_ids"][6:12], row["input_ids"][12:]]
    assert all(part[0] == CLS and part[-1] == SEP for part in parts)
    assert [token for part in parts for token in part[1:-1]] == IDS
    assert found.rows[1]["chunks"] == [4]
    assert found.counts.truncated == 0
    packed = Packed.of_rows([found.rows[0], found.rows[1]])
    assert packed.lengths == (6, 6, 5, 4)
    assert packed.texts == (3, 1)


def test_more_chunks_than_allowed_are_cut_and_counted():
    found = read("chunks", 6, 2, text=[TEXT], label=[1])
    assert found.rows[0]["chunks"] == [6, 6]
    assert found.counts.truncated == 1


def test_a_chunk_of_an_unlabelled_text_is_a_row():
    rows = read("chunks", 6, text=[TEXT, "the model"]).rows
    assert rows.column_names == ["input_ids"]
    assert [len(row["input_ids"]) for row in rows] == [6, 6, 5, 4]


def test_pairs_and_tags_are_not_read_in_chunks():
    for columns, what in (
        ({"text": ["a"], "text_pair": ["b"]}, "pairs of texts"),
        ({"text": ["a"], "words": [["a"]], "label": [[0]]}, "tags of words"),
    ):
        with pytest.raises(ConfigError, match=rf"^model.long=chunks reads single .* has {what}"):
            read("chunks", **columns)


def test_options_without_a_meaning_are_refused():
    with pytest.raises(ConfigError, match=r"^model.long=chunk: did you mean 'chunks'"):
        check_way("chunk", 8)
    with pytest.raises(ConfigError, match=r"^model.max_chunks must be at least 1, got 0\.$"):
        check_way("chunks", 0)
