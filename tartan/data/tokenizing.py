"""Texts, pairs of texts and tagged words to token ids."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
import transformers
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from tartan.data import long_texts, reader
from tartan.data.arrow import batches_of
from tartan.data.cache import cached, key_of
from tartan.data.long_texts import check_texts
from tartan.data.reader import Counts, Reader
from tartan.errors import ConfigError
from tartan.quiet import quiet


@dataclass(frozen=True)
class Tokenized:
    """Tokenised rows.

    Attributes:
        rows: columns `input_ids` (list of int, special tokens included); `token_type_ids` (list of
            int) of pairs, where requested; `word_starts` and `kept` (list of int) of
            tagged words; `label` where the texts are labelled, and then `chunks` (list of int),
            the tokens of each chunk, where long texts are read so. Memory-mapped.
        counts: what was lost; the number of rows or words.
        notice: what the user should know of the cache; None where it did its work.
    """

    rows: Dataset
    counts: Counts
    notice: str | None = None


CODE = (__file__, reader.__file__, long_texts.__file__)
"""Files whose code decides what a text's tokens are."""


def tokenize(
    dataset: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    segments: bool = False,
    *,
    long: str = "truncate",
    max_chunks: int = 8,
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
        max_length: tokens of a row at most, special tokens included; of a pair the longer text is
            shortened first.
        segments: whether rows of pairs are to say which text a token is of.
        long: how longer rows are read, one of `long_texts.WAYS`: their end is cut; their middle is
            left out; or they are read in chunks, which lie end to end in `input_ids`. A chunk of an
            unlabelled text is a row of its own.
        max_chunks: the most chunks that a text is read in; the rest of it is cut.

    Raises:
        ConfigError: the maximum length leaves no room for a token of text, or pairs of texts or
            tagged words are to be read in chunks.
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
    check_texts(long, columns)
    given = dataset.select_columns(columns)
    reads = Reader(tokenizer, max_length, segments and pairs, long, max_chunks)
    with quiet():
        key = key_of(batches_of(given), serialised(tokenizer), _read_as(reads))
        entry = cached(key, lambda: reads.rows(given))
    return Tokenized(entry.rows, Counts(**entry.counts), entry.notice)


def _read_as(reads: Reader) -> str:
    """Return what of a reader decides the rows, besides its tokenizer."""
    more = {"truncate": "", "head_tail": " head_tail", "chunks": f" {reads.max_chunks} chunks"}
    return f"{reads.max_length} {reads.segments}{more[reads.long]}"


def serialised(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return all that rows depend on, but texts and how they are read; code included."""
    depends = {
        **token_state(tokenizer),
        "all special": sorted(tokenizer.all_special_ids),  # a row of these alone counts as empty
        "versions": [tokenizers.__version__, transformers.__version__],
        "code": [Path(file).read_text(encoding="utf-8") for file in CODE],
    }
    return json.dumps(depends, sort_keys=True)


def token_state(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return all of a tokenizer that token ids depend on, as plain values.

    These are its backend, special tokens, length and sides; not what the last call has left there.
    """
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    return {
        "backend": backend | {"truncation": None, "padding": None},
        "class": type(tokenizer).__name__,
        "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
        "inputs": list(tokenizer.model_input_names),
        "length": tokenizer.model_max_length,
        "sides": [tokenizer.truncation_side, tokenizer.padding_side],
        "split": tokenizer.split_special_tokens,
    }
