import subprocess
import sys

import pytest
from transformers import AutoTokenizer, BertConfig

from tartan.data import DemoOptions, load_task, train_tokenizer
from tartan.data.vocabulary import SPECIAL
from tartan.errors import ConfigError, DataError

TEXTS = ["the cat sat on the mat", "A Cat naps", "Ünder the mat"]

SERIALISE = """
import sys
from tartan.data import train_tokenizer
texts = sys.stdin.read().splitlines()
for size in (100, 2000):
    print(train_tokenizer(texts, size).backend_tokenizer.to_str())
"""


def test_special_tokens_come_first_and_frame_a_text():
    tokenizer = train_tokenizer(TEXTS, 200)
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL)) == [0, 1, 2, 3, 4]
    assert sorted(tokenizer.all_special_ids) == [0, 1, 2, 3, 4]
    assert tokenizer.convert_ids_to_tokens(tokenizer("the cat")["input_ids"]) == [
        "[CLS]",
        "the",
        "cat",
        "[SEP]",
    ]
    assert tokenizer.mask_token == "[MASK]"


def test_a_pair_is_framed_as_two_segments():
    encoded = train_tokenizer(TEXTS, 200)("cat", "mat", return_token_type_ids=True)
    assert encoded["token_type_ids"] == [0, 0, 0, 1, 1]


def test_characters_that_were_never_seen_are_unknown():
    tokenizer = train_tokenizer(TEXTS, 200)
    assert tokenizer.tokenize("cat xyz") == ["cat", "[UNK]"]


def test_case_is_ignored():
    assert train_tokenizer(TEXTS, 200).tokenize("Cat Under") == ["cat", "under"]


def test_another_process_trains_the_same_tokenizer():
    # Hash maps are seeded anew in each process: a tie settled by their order would show here.
    texts = load_task("demo", DemoOptions()).corpora["task"]["text"]
    other = subprocess.run(
        [sys.executable, "-c", SERIALISE],
        input="\n".join(texts),
        capture_output=True,
        text=True,
        check=True,
    )
    for size, serialised in zip((100, 2000), other.stdout.splitlines(), strict=True):
        assert train_tokenizer(texts, size).backend_tokenizer.to_str() == serialised


def test_each_word_of_the_demo_is_one_token():
    task = load_task("demo", DemoOptions())
    tokenizer = train_tokenizer(task.corpora["task"]["text"], 2000)
    assert all(len(tokenizer.tokenize(text)) == len(text.split()) for text in task.test["text"])


def test_the_vocabulary_is_never_larger_than_asked_for():
    assert len(train_tokenizer(TEXTS, 40)) == 40


def test_it_survives_saving_beside_a_model(tmp_path):
    tokenizer = train_tokenizer(TEXTS, 200)
    tokenizer.save_pretrained(tmp_path)
    BertConfig(vocab_size=len(tokenizer)).save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.get_vocab() == tokenizer.get_vocab()
    assert loaded.mask_token_id == tokenizer.mask_token_id
    for text in ("The cats", "a [MASK] naps", "Ünder?"):
        assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]


def test_a_vocabulary_too_small_for_the_characters_is_refused():
    with pytest.raises(ConfigError) as caught:
        train_tokenizer(["abc"], 9)
    assert str(caught.value) == (
        "a vocabulary of 9 cannot hold the 5 special tokens and 5 characters of the texts: "
        "make it at least 10"
    )
    assert len(train_tokenizer(["abc"], 10)) == 10


@pytest.mark.parametrize("texts", [[], ["", "  "]])
def test_texts_without_a_word_are_refused(texts):
    with pytest.raises(DataError, match="hold no word"):
        train_tokenizer(texts, 100)
