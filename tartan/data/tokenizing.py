"""Texts, pairs of texts and tagged words to token ids."""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import tokenizers
import transformers
from datasets import Dataset, Features, List, Value
from transformers import PreTrainedTokenizerBase

from tartan.data.arrow import Columns, batches_of
from tartan.data.cache import Made, cached, key_of
from tartan.errors import ConfigError
from tartan.quiet import quiet

ENOUGH = 64
"""A text is read this many characters for each token of the maximum length, before the rest."""
MOST = 2**18
"""No text is read further than this many characters, or `ENOUGH` for each token if that is more."""


@dataclass(frozen=True)
class Tokenized:
    """Tokenised rows.

    Attributes:
        rows: columns `input_ids` (list of int, special tokens included); `token_type_ids` (list of
            int) of pairs, where they were asked for; `word_starts` and `kept` (list of int) of
            tagged words; `label` where the texts are labelled. Memory-mapped.
        truncated: how many rows lost tokens at the maximum length, or text beyond `MOST`.
        lost_words: how many tagged words have no token left, nearly always because of that.
        damaged: where the rows lay damaged in the cache; they were made anew.
    """

    rows: Dataset
    truncated: int
    lost_words: int
    damaged: Path | None = None


def tokenize(
    dataset: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int, segments: bool = False
) -> Tokenized:
    """Tokenise `text`, with `text_pair` after it where there is one, and find the words in it.

    A word's label stands at its first token; `word_starts` says which one that is. A word without
    a token is left out of `label` and `word_starts`; `kept` says which words are in them, counted
    from 0. A row may hold nothing but special tokens.

    Rows that were tokenised before come from the cache.

    Args:
        dataset: columns `text` and, optionally, `text_pair`, `words` and `label`; others are left
            out. Where there are `words`, the text is these with a space between.
        tokenizer: the body's tokenizer, a fast one.
        max_length: tokens of a row at most, special tokens included; longer rows are cut, of a
            pair the longer text first.
        segments: whether rows of pairs are to say which text a token is of.

    Raises:
        ConfigError: the maximum length leaves no room for a token of text.
        DataError: the rows cannot be written.
    """
    columns = [c for c in ("text", "text_pair", "words", "label") if c in dataset.column_names]
    pairs = "text_pair" in columns
    special = tokenizer.num_special_tokens_to_add(pair=pairs)
    if max_length <= special:
        raise ConfigError(
            f"a maximum length of {max_length} leaves no room for text beside {special} special "
            f"tokens: make it at least {special + 1}"
        )
    given = dataset.select_columns(columns)
    read = Reader(tokenizer, max_length, segments and pairs)
    with quiet():
        key = key_of(batches_of(given), serialised(tokenizer), f"{max_length} {read.segments}")
        entry = cached(key, lambda: read.rows(given))
    return Tokenized(
        entry.rows, entry.counts["truncated"], entry.counts["lost_words"], entry.damaged
    )


def serialised(tokenizer: PreTrainedTokenizerBase) -> str:
    """All that token ids depend on, but the text and its maximum length; this file included."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    # What the last call has left there.
    backend |= {"truncation": None, "padding": None}
    depends = {
        "backend": backend,
        "class": type(tokenizer).__name__,
        "sides": [tokenizer.truncation_side, tokenizer.split_special_tokens],
        "versions": [tokenizers.__version__, transformers.__version__],
        "code": Path(__file__).read_text(encoding="utf-8"),
    }
    return json.dumps(depends, sort_keys=True)


@dataclass(frozen=True)
class Reader:
    """Reads texts as one tokenizer does.

    Attributes:
        tokenizer: a fast one.
        max_length: tokens of a row at most.
        segments: whether rows say which text a token is of.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    segments: bool

    def rows(self, dataset: Dataset) -> Made:
        """The tokenised rows of a dataset, and how many of them lost something."""
        lost = Counter(truncated=0, lost_words=0)

        def batches() -> Iterator[Columns]:
            for batch in batches_of(dataset):
                columns, truncated, lost_words = self.read(batch)
                lost.update(truncated=truncated, lost_words=lost_words)
                yield columns

        types = {"input_ids": List(Value("int32"))}
        if self.segments:
            types["token_type_ids"] = List(Value("int8"))
        if "words" in dataset.column_names:
            types |= {"word_starts": List(Value("int32")), "kept": List(Value("int32"))}
        if "label" in dataset.column_names:
            types["label"] = dataset.features["label"]
        return batches(), Features(types), lambda: lost

    def read(self, batch: Columns) -> tuple[Columns, int, int]:
        """A batch's columns as `Tokenized` has them, the rows that were cut, the words lost."""
        whole = [batch[column] for column in ("text", "text_pair") if column in batch]
        texts = [[self._beginning(text) for text in column] for column in whole]
        words = "words" in batch
        rows = self._encode(texts, words)
        long = [
            row for row, tokens in enumerate(rows["input_ids"]) if len(tokens) > self.max_length
        ]
        shortened = {
            row
            for column, read in zip(whole, texts, strict=True)
            for row, text in enumerate(column)
            if len(read[row]) < len(text)
        }
        if long:
            # Only the tokenizer knows which special tokens survive a cut, and where.
            parts = [[column[row] for row in long] for column in texts]
            cut = self._encode(parts, words, truncation=True, max_length=self.max_length)
            for column, values in cut.items():
                for row, value in zip(long, values, strict=True):
                    rows[column][row] = value
        lost_words = _place_words(rows, batch) if words else 0
        if "label" in batch and not words:
            rows["label"] = batch["label"]
        return rows, len(shortened.union(long)), lost_words

    def _encode(
        self, texts: Sequence[Sequence[str]], offsets: bool, **options: Any
    ) -> dict[str, list[Any]]:
        """What the tokenizer makes of texts, or of first and second texts."""
        encoding = self.tokenizer(
            *map(list, texts),
            return_attention_mask=False,
            return_token_type_ids=self.segments,
            return_offsets_mapping=offsets,
            verbose=False,
            **options,
        )
        columns = ["input_ids", *(["token_type_ids"] if self.segments else [])]
        if offsets:
            columns.append("offset_mapping")
        return {column: list(encoding[column]) for column in columns}

    def _beginning(self, text: str) -> str:
        """As much of a text as matters: megabytes of it would take gigabytes to tokenise.

        The cut changes the last word alone; what is read ends before that. Nothing is left out but
        of a text with hardly a token in `MOST` characters. Of a pair whose texts would both fill a
        row, either may get the odd token.
        """
        text = self._most(text)
        size = ENOUGH * self.max_length
        while size < len(text) and self.tokenizer.truncation_side == "right":
            words = self.tokenizer([text[:size]], verbose=False).word_ids(0)
            last = next((word for word in reversed(words) if word is not None), None)
            if len(words) > self.max_length and words[self.max_length] not in (None, last):
                return text[:size]
            size *= 4
        return text

    def _most(self, text: str) -> str:
        """A text, or of one that nobody means to be read whole as much as is ever read."""
        most = max(MOST, ENOUGH * self.max_length)
        return text[:most] if self.tokenizer.truncation_side == "right" else text[-most:]


def _place_words(rows: dict[str, list[Any]], batch: Columns) -> int:
    """Replace offsets by `word_starts`, `kept` and `label`; return how many words are lost."""
    found = [
        first_tokens(*row) for row in zip(batch["words"], rows.pop("offset_mapping"), strict=True)
    ]
    rows["word_starts"] = [list(first.values()) for first in found]
    rows["kept"] = [list(first) for first in found]
    rows["label"] = [
        [tags[word] for word in first] for tags, first in zip(batch["label"], found, strict=True)
    ]
    return sum(len(row) - len(first) for row, first in zip(batch["words"], found, strict=True))


def first_tokens(words: Sequence[str], offsets: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Where each word's first token is, in the order of the words; not of words without a token.

    Offsets rather than a tokenizer's own `word_ids`: the words are read as any other text is, and
    families that tell a word at the start from one after a space need no option for it.

    Args:
        words: as they stand in the text, one space between.
        offsets: of each token, the first character and the one after the last; the same one twice
            for a special token.

    >>> first_tokens(["red", "bluish"], [(0, 0), (0, 3), (3, 8), (8, 10), (0, 0)])
    {0: 1, 1: 2}
    """
    starts = [0, *accumulate(len(word) + 1 for word in words)]
    first: dict[int, int] = {}
    for token, (start, end) in enumerate(offsets):
        # The last character, as a token may begin with the space before its word.
        word = bisect_right(starts, end - 1) - 1
        if start < end < starts[word + 1]:
            first.setdefault(word, token)
    return first
