import re
from copy import deepcopy
from random import Random

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tartan.data import Stream, tokenize, train_tokenizer
from tartan.errors import ConfigError
from tartan.testing import tiny_tokenizer

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
    assert tokenized.counts.truncated == 2


def test_a_row_of_exactly_the_maximum_is_not_truncated(tokenizer):
    assert tokenize(dataset("one two"), tokenizer, 4).counts.truncated == 0


def test_a_text_without_tokens_is_kept_as_its_special_tokens(tokenizer):
    assert tokenize(dataset("\u200b", "one"), tokenizer, 8).rows[0] == {"input_ids": [CLS, SEP]}


def test_rows_are_not_taken_from_the_cache_when_a_special_token_has_changed():
    """A text without tokens is read as the end-of-text token, and unknown texts are counted."""
    one, other = tiny_tokenizer(bare=True), tiny_tokenizer(bare=True)
    other.eos_token, other.unk_token = "[CLS]", "[PAD]"
    texts = dataset(" ", "qqq")
    unknown = one.convert_tokens_to_ids("[UNK]")
    read = [tokenize(texts, each, 8) for each in (one, other)]
    assert [each.rows["input_ids"][:] for each in read] == [
        [[one.eos_token_id], [unknown]],
        [[other.eos_token_id], [unknown]],
    ]
    assert [each.counts.unknown for each in read] == [1, 0]


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


def test_pairs_are_one_row_and_say_which_text_a_token_is_of(tokenizer):
    given = dataset("one two", "three", text_pair=["four", "five one"], label=[0, 1])
    rows = tokenize(given, tokenizer, 16, segments=True).rows
    one, two, four = tokenizer.convert_tokens_to_ids(["one", "two", "four"])
    assert set(rows.column_names) == {"input_ids", "token_type_ids", "label"}
    assert rows["input_ids"][0] == [CLS, one, two, SEP, four, SEP]
    assert rows["token_type_ids"][0] == [0, 0, 0, 0, 1, 1]


def test_segments_are_left_out_where_they_are_not_read_or_there_is_one(tokenizer):
    pair = dataset("one", text_pair=["two"])
    assert tokenize(pair, tokenizer, 16).rows.column_names == ["input_ids"]
    assert tokenize(dataset("one"), tokenizer, 16, segments=True).rows.column_names == ["input_ids"]


def test_the_longer_text_of_a_pair_is_cut(tokenizer):
    pair = dataset("one two three four", "one", text_pair=["five", "two"])
    tokenized = tokenize(pair, tokenizer, 6, segments=True)
    words = tokenizer.convert_ids_to_tokens(tokenized.rows["input_ids"][0])
    assert words == ["[CLS]", "one", "two", "[SEP]", "five", "[SEP]"]
    assert tokenized.rows["token_type_ids"][0] == [0, 0, 0, 0, 1, 1]
    assert tokenized.counts.truncated == 1


def test_a_maximum_without_room_for_a_pair_is_refused(tokenizer):
    with pytest.raises(ConfigError, match="beside 3 special tokens: make it at least 4"):
        tokenize(dataset("one", text_pair=["two"]), tokenizer, 3)


def tagged(*rows):
    """Words that are tagged by their number in the row."""
    texts = [" ".join(words) for words in rows]
    return dataset(*texts, words=rows, label=[list(range(len(words))) for words in rows])


def byte_level(trim_offsets: bool) -> PreTrainedTokenizerFast:
    """As RoBERTa reads text: a word is another token at the start than after a space."""
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        special_tokens=["<s>", "</s>", "<unk>"], vocab_size=290, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    made.train_from_iterator(["red green red green blue", "red, red"], trainer)
    made.post_processor = processors.RobertaProcessing(
        ("</s>", 1), ("<s>", 0), trim_offsets=trim_offsets, add_prefix_space=False
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")


def pieces() -> PreTrainedTokenizerFast:
    """As XLM-R and DeBERTa read text: a mark stands for the space before a word."""
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        special_tokens=special, unk_token="<unk>", vocab_size=40, show_progress=False
    )
    made.train_from_iterator(["red green red green blue", "red, red"] * 20, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")


def byte_level_plain() -> PreTrainedTokenizerFast:
    return byte_level(True)


def wordpiece() -> PreTrainedTokenizerFast:
    return train_tokenizer(["red green blue", "red, red"], 40)


@pytest.mark.parametrize(
    "make",
    [lambda: train_tokenizer(["red green blue", "red, red"], 40), lambda: byte_level(True),
     lambda: byte_level(False), pieces],
    ids=["wordpiece", "bytes", "untrimmed bytes", "unigram"],
)  # fmt: skip
def test_a_words_label_stands_at_its_first_token(make):
    """Whatever marks the start of a word; words of several tokens, punctuation, a space inside."""
    tokenizer = make()
    words = ["Red", "green", ",", "bluered", "é", "red green", "blue"]
    row = tokenize(tagged(words), tokenizer, 64).rows[0]
    assert row["label"] == list(range(7))
    bounds = [*row["word_starts"], len(row["input_ids"]) - 1]
    for word, start, end in zip(words, bounds, bounds[1:], strict=False):
        alone = tokenizer(word, add_special_tokens=False)["input_ids"]
        assert spelt(tokenizer, row["input_ids"][start:end]) == spelt(tokenizer, alone)


def spelt(tokenizer, ids):
    """Tokens end to end, without what marks the start of a word or its continuation."""
    return re.sub("Ġ|▁|##", "", "".join(tokenizer.convert_ids_to_tokens(ids)))


def test_words_beyond_a_cut_are_left_out_with_their_labels_and_counted(tokenizer):
    tokenized = tokenize(tagged(["one", "two", "three", "four"], ["five"]), tokenizer, 4)
    assert tokenized.rows["label"][:] == [[0, 1], [0]]
    assert tokenized.rows["word_starts"][:] == [[1, 2], [1]]
    assert (tokenized.counts.truncated, tokenized.counts.lost_words) == (1, 2)


def test_a_word_that_no_token_stands_for_is_left_out_with_its_label(tokenizer):
    tokenized = tokenize(tagged(["one", "\u200b", "two"]), tokenizer, 8)
    assert tokenized.rows[0]["label"] == [0, 2]
    assert tokenized.rows[0]["word_starts"] == [1, 2]
    assert tokenized.rows[0]["kept"] == [0, 2]
    assert (tokenized.counts.truncated, tokenized.counts.lost_words) == (0, 1)


@pytest.mark.parametrize("make", [byte_level_plain, pieces, wordpiece])
def test_a_text_of_megabytes_is_read_as_it_would_be_whole(make):
    tokenizer = make()
    random = Random(0)
    texts = [
        " ".join(random.choices(["red", "green", ",", "bluered", "é"], k=count))
        for count in (300, 3000, 30_000)
    ]
    texts += ["red" * 2000, " " * 5000 + "red", "\u200b" * 3000 + " red green blue", "," * 4000]
    whole = [tokenizer(text, truncation=True, max_length=12)["input_ids"] for text in texts]
    tokenized = tokenize(dataset(*texts), tokenizer, 12)
    assert tokenized.rows["input_ids"][:] == whole
    lengths = [len(tokenizer(text)["input_ids"]) for text in texts]
    assert tokenized.counts.truncated == sum(length > 12 for length in lengths)


def test_a_pair_of_long_texts_is_read_as_it_would_be_whole(tokenizer):
    long, other = "red green " * 200, "blue one two " * 100
    pairs = [(long, "one two"), ("one", long), (long, other), (other, long)]
    given = dataset(*(first for first, _ in pairs), text_pair=[second for _, second in pairs])
    tokenized = tokenize(given, tokenizer, 11)
    whole = [tokenizer(*pair, truncation=True, max_length=11)["input_ids"] for pair in pairs]
    assert tokenized.rows["input_ids"][:] == whole
    assert tokenized.counts.truncated == 4
    # Whole, this one would take more memory than there is: what is cut is the square of it.
    endless = tokenize(dataset(long * 1000, text_pair=[other * 1000]), tokenizer, 11)
    assert endless.rows["input_ids"][:] == whole[2:3]


def test_a_text_without_an_end_is_read_so_far_and_counted(tokenizer):
    endless = "x" * 2**20
    tokenized = tokenize(dataset(endless + " one", "x" * 999 + " one"), tokenizer, 8)
    one = tokenizer.convert_tokens_to_ids("one")
    assert [len(row) for row in tokenized.rows["input_ids"]] == [3, 4]
    assert one in tokenized.rows["input_ids"][1]
    assert tokenized.counts.truncated == 1
    pair = tokenize(dataset("one", text_pair=[endless]), tokenizer, 8)
    assert (len(pair.rows["input_ids"][0]), pair.counts.truncated) == (5, 1)


def test_the_end_is_read_where_the_beginning_is_cut(tokenizer):
    left = deepcopy(tokenizer)
    left.truncation_side = "left"
    text = "one " * 2**17 + "two"
    rows = tokenize(dataset(text), left, 4).rows["input_ids"][:]
    assert rows == [left(text, truncation=True, max_length=4)["input_ids"]]


WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9
).filter(str.strip)


@given(rows=st.lists(st.lists(WORDS, min_size=1, max_size=9), min_size=1, max_size=4))
def test_every_word_keeps_its_label_or_is_counted_as_lost(tokenizer, rows):
    tokenized = tokenize(tagged(*rows), tokenizer, 9)
    assert tokenized.counts.lost_words == sum(map(len, rows)) - sum(
        map(len, tokenized.rows["label"])
    )
    for row, words in zip(tokenized.rows, rows, strict=True):
        assert row["label"] == sorted(set(row["label"]) & set(range(len(words))))
        assert row["word_starts"] == sorted(set(row["word_starts"]))
        assert len(row["word_starts"]) == len(row["label"])
        assert all(0 < place < len(row["input_ids"]) - 1 for place in row["word_starts"])


@given(texts=st.lists(WORDS, min_size=1, max_size=9))
def test_a_row_does_not_depend_on_those_beside_it(tokenizer, texts):
    together = tokenize(dataset(*texts), tokenizer, 5).rows["input_ids"][:]
    assert together == [tokenize(dataset(t), tokenizer, 5).rows["input_ids"][0] for t in texts]


def test_nothing_is_written_to_the_terminal(tokenizer, capfd):
    tokenizer.model_max_length = 4
    tokenize(dataset("one two three four five"), tokenizer, 6)
    assert capfd.readouterr() == ("", "")
    assert not datasets.are_progress_bars_disabled(), "the caller's own setting is restored"


@pytest.mark.parametrize("length", [4, 64])
def test_texts_without_a_token_and_without_a_known_one_are_counted(tokenizer, length):
    texts = ["one", "\u200b", "\u00ad\u2060", "???", "xyz", "one xyz", "x" * 300_000]
    counts = tokenize(dataset(*texts), tokenizer, length).counts
    assert (counts.empty, counts.unknown) == (2, 3)


@pytest.mark.parametrize("segments", [True, False])
def test_a_pair_is_counted_where_either_text_has_no_token(tokenizer, segments):
    hidden = "\u200b"
    pairs = [("one", "two"), (hidden, "two"), ("one", hidden), ("xyz", hidden), ("xyz", "one")]
    rows = dataset(*(a for a, _ in pairs), text_pair=[b for _, b in pairs])
    counts = tokenize(rows, tokenizer, 16, segments=segments).counts
    assert (counts.empty, counts.unknown) == (3, 1)
