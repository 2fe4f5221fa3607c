"""Words of any number of texts, of any length, are counted in bounded memory."""

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tartan.data import train_tokenizer
from tartan.data.words import LONGEST, PIECE, WordCounts, count_words, repeated, words_of

pytestmark = pytest.mark.heavy

TEXTS = st.lists(st.text("ab é日", max_size=30), max_size=20)


@given(texts=TEXTS, size=st.integers(1, 9))
def test_words_are_counted_exactly_however_texts_come(texts, size):
    expected = Counter(word for text in texts for word in text.split())
    assert count_words(texts, str.split).counts == expected
    assert count_words([" ".join(texts)], str.split).counts == expected


def test_a_long_text_is_split_in_pieces_between_words():
    text = " ".join(f"word{n}" for n in range(50_000))
    pieces = list(words_of(text, str.split))
    assert len(pieces) > 5
    assert [word for words in pieces for word in words] == text.split()


def test_a_long_word_is_left_out_and_its_neighbours_are_not():
    blob = "x" * (5 * PIECE + 7)
    found = count_words(
        [f"one {blob} two", blob, f"{blob} one", f"y{'z' * (LONGEST - 1)}"], str.split
    )
    assert found.counts == {"one": 2, "two": 1, f"y{'z' * (LONGEST - 1)}": 1}
    assert "x" not in found.first


def test_what_is_frequent_survives_any_number_of_rare_words():
    found = WordCounts(most=100)
    for n in range(5000):
        found.add(["the", f"rare{n}", "of", "the"])
    assert len(found.counts) <= 100
    assert (found.counts["the"], found.counts["of"]) == (10_000, 5000)


@given(counts=st.dictionaries(st.text("abc", min_size=1, max_size=9), st.integers(1, 50)))
def test_repeated_words_have_their_counts(counts):
    assert Counter(" ".join(repeated(counts)).split()) == counts


def test_repeated_words_are_scaled_to_a_bound():
    found = Counter(" ".join(repeated({"often": 900_000, "seldom": 1}, most=1000)).split())
    assert found == {"often": 999, "seldom": 1}


@pytest.mark.parametrize(
    ("letters", "length"),
    [("abcdefghij", 3_000_000), ("é", 3_000_000), ("日本", 300_000), ("a1!", 300_000)],
)
def test_a_word_of_very_many_letters_is_unknown_to_the_vocabulary(letters, length):
    """The last two are words of one letter each to the tokenizer, which takes longer."""
    blob = letters * (length // len(letters))
    tokenizer = train_tokenizer(["red and blue", blob, f"{blob} red"], 200)
    assert tokenizer.tokenize("red") == ["red"]
    if letters == "abcdefghij":
        assert tokenizer.tokenize("x" + letters * 20) == ["[UNK]"]


PEAK = """
import random, re, sys
from pathlib import Path
from tartan.data import train_tokenizer
def texts():
    for n in range(0, int(sys.argv[1]), 20):
        yield " ".join(f"w{m * 7919 % 1_000_003:x}q{m:x} often" for m in range(n, n + 20))
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
train_tokenizer(["one two"], 100)
before = peak()
tokenizer = train_tokenizer(texts(), 2000)
assert tokenizer.tokenize("often") == ["often"]
print(peak() - before)
"""


@pytest.mark.slow
def test_two_million_different_words_take_little_memory():
    done = subprocess.run(
        [sys.executable, "-c", PEAK, "2000000"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 300, "MiB; it was 1700"
