"""Texts, pairs of texts and tagged words to token ids."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from tartan.data.quiet import quiet
from tartan.errors import ConfigError


@dataclass(frozen=True)
class Tokenized:
    """Tokenised rows.

    Attributes:
        rows: columns `input_ids` (list of int, special tokens included); `token_type_ids` (list of
            int) of pairs, where they were asked for; `positions` and `kept` (list of int) of tagged
            words; `label` where the texts are labelled.
        truncated: how many rows lost tokens at the maximum length.
        lost_words: how many tagged words have no token left, nearly always because of that.
    """

    rows: Dataset
    truncated: int
    lost_words: int


def tokenize(
    dataset: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int, segments: bool = False
) -> Tokenized:
    """Tokenise `text`, with `text_pair` after it where there is one, and find the words in it.

    A word's label stands at its first token; `positions` says which one that is. A word without
    a token is left out of `label` and `positions`; `kept` says which words are in them, counted
    from 0. A row may hold nothing but special tokens.

    Args:
        dataset: columns `text` and, optionally, `text_pair`, `words` and `label`; others are left
            out. Where there are `words`, the text is these with a space between.
        tokenizer: the body's tokenizer, a fast one.
        max_length: tokens of a row at most, special tokens included; longer rows are cut, of a
            pair the longer text first.
        segments: whether rows of pairs are to say which text a token is of.

    Raises:
        ConfigError: the maximum length leaves no room for a token of text.
    """
    pairs = "text_pair" in dataset.column_names
    special = tokenizer.num_special_tokens_to_add(pair=pairs)
    if max_length <= special:
        raise ConfigError(
            f"a maximum length of {max_length} leaves no room for text beside {special} special "
            f"tokens: make it at least {special + 1}"
        )
    read = partial(_read, tokenizer=tokenizer, max_length=max_length, segments=segments and pairs)
    dropped = [column for column in dataset.column_names if column != "label"]
    with quiet():
        rows = dataset.map(read, batched=True, remove_columns=dropped, load_from_cache_file=False)
    counts = sum(rows["truncated"]), sum(rows["lost_words"])
    return Tokenized(rows.remove_columns(["truncated", "lost_words"]), *counts)


def _read(
    batch: Mapping[str, Sequence[Any]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    segments: bool,
) -> dict[str, list[Any]]:
    """A batch's columns as `Tokenized` has them, and what each row lost."""
    texts = [batch[column] for column in ("text", "text_pair") if column in batch]
    columns = ["input_ids", *(["token_type_ids"] if segments else [])]
    if "words" in batch:
        columns.append("offset_mapping")

    def encode(texts: Sequence[Sequence[str]], **options: Any) -> dict[str, list[Any]]:
        encoding = tokenizer(
            *map(list, texts),
            return_attention_mask=False,
            return_token_type_ids=segments,
            return_offsets_mapping="words" in batch,
            verbose=False,
            **options,
        )
        return {column: list(encoding[column]) for column in columns}

    rows = encode(texts)
    long = [row for row, tokens in enumerate(rows["input_ids"]) if len(tokens) > max_length]
    if long:
        # Only the tokenizer knows which special tokens survive a cut, and where.
        parts = [[column[row] for row in long] for column in texts]
        cut = encode(parts, truncation=True, max_length=max_length)
        for column in columns:
            for row, values in zip(long, cut[column], strict=True):
                rows[column][row] = values
    lost = set(long)
    rows["truncated"] = [row in lost for row in range(len(texts[0]))]
    return _place_words(rows, batch)


def _place_words(
    rows: dict[str, list[Any]], batch: Mapping[str, Sequence[Any]]
) -> dict[str, list[Any]]:
    """Rows with `positions` and `kept` instead of offsets, the `label` of these words, a count."""
    if "offset_mapping" not in rows:
        return rows | {"lost_words": [0] * len(rows["input_ids"])}
    offsets = rows.pop("offset_mapping")
    found = [first_tokens(*row) for row in zip(batch["words"], offsets, strict=True)]
    rows["positions"] = [list(first.values()) for first in found]
    rows["kept"] = [list(first) for first in found]
    rows["label"] = [
        [tags[word] for word in first] for tags, first in zip(batch["label"], found, strict=True)
    ]
    words = zip(batch["words"], found, strict=True)
    return rows | {"lost_words": [len(row) - len(first) for row, first in words]}


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
