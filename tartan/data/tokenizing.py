"""Texts to token ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from tartan.data.quiet import quiet
from tartan.errors import ConfigError


@dataclass(frozen=True)
class Tokenized:
    """Tokenised rows.

    Attributes:
        rows: columns `input_ids` (list of int, special tokens included) and, where the texts are
            labelled, `label` (int).
        truncated: how many rows lost tokens at the maximum length.
    """

    rows: Dataset
    truncated: int


def tokenize(dataset: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Tokenized:
    """Tokenise the column `text`. A row may hold nothing but special tokens.

    Args:
        dataset: columns `text` and, optionally, `label`; others are left out.
        tokenizer: the body's tokenizer.
        max_length: tokens of a row at most, special tokens included; longer rows are cut.

    Raises:
        ConfigError: the maximum length leaves no room for a token of text.
    """
    special = tokenizer.num_special_tokens_to_add()
    if max_length <= special:
        raise ConfigError(
            f"a maximum length of {max_length} leaves no room for text beside {special} special "
            f"tokens: make it at least {special + 1}"
        )
    encode = partial(_encode, tokenizer=tokenizer, max_length=max_length)
    dropped = [column for column in dataset.column_names if column != "label"]
    with quiet():
        rows = dataset.map(encode, batched=True, remove_columns=dropped, load_from_cache_file=False)
    return Tokenized(rows.remove_columns("truncated"), sum(rows["truncated"]))


def _encode(
    batch: Mapping[str, Sequence[str]], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, list[Any]]:
    """`input_ids` and whether each row was `truncated`."""

    def ids(texts: Sequence[str], **options: Any) -> list[list[int]]:
        flags = {"return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
        return list(tokenizer(list(texts), **flags, **options)["input_ids"])

    whole = ids(batch["text"])
    long = [row for row, tokens in enumerate(whole) if len(tokens) > max_length]
    if long:
        # Only the tokenizer knows which special tokens survive a cut, and where.
        cut = ids([batch["text"][row] for row in long], truncation=True, max_length=max_length)
        for row, tokens in zip(long, cut, strict=True):
            whole[row] = tokens
    lost = set(long)
    return {"input_ids": whole, "truncated": [row in lost for row in range(len(whole))]}
