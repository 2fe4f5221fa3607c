"""Texts of more tokens than a body reads: cut at the end, their middle left out, or in chunks."""

from collections.abc import Mapping, Sequence
from typing import Any

from tartan.checks import check_choice, check_range
from tartan.errors import ConfigError

WAYS = ("truncate", "head_tail", "chunks")
"""How a long text is read: `model.long`."""
LONG_TEXTS = "tartan_long_texts"
"""Where an exported model's config.json says so."""

Row = Mapping[str, Sequence[Any]]
"""A row's columns, each with one value for a token."""


def check_way(way: str, chunks: int) -> None:
    """Raise ConfigError unless the options are valid."""
    check_choice("model.long", way, WAYS)
    check_range("model.max_chunks", chunks, "[1, inf)")


def check_texts(way: str, columns: Sequence[str]) -> None:
    """Raise ConfigError where texts with these columns cannot be read in a way."""
    odd = {"text_pair": "pairs of texts", "words": "tags of words"}
    found = next((name for name in odd if name in columns), None)
    if way == "chunks" and found is not None:
        raise ConfigError(
            f"model.long=chunks reads single texts, and the data has {odd[found]}: choose "
            "head_tail or truncate"
        )


def head_and_tail(
    full: Row, cut: Row, full_texts: Sequence[int | None], cut_texts: Sequence[int | None]
) -> dict[str, list[Any]]:
    """Return a row as long as one that was cut, with the first and last tokens of each text.

    A text keeps as many tokens as in the cut row, half of them from its end (Sun et al., CCL 2019,
    section 5.3.1). Special tokens stay where the tokenizer puts them.

    Args:
        full: the row before it was cut.
        cut: the row as the tokenizer cuts it.
        full_texts: [tokens], which text each token of `full` is of; None for special tokens.
        cut_texts: the same of `cut`.
    """
    source: dict[int, int] = {}
    for text in sorted({text for text in cut_texts if text is not None}):
        places = [place for place, of in enumerate(cut_texts) if of == text]
        tokens = [token for token, of in enumerate(full_texts) if of == text]
        tail = len(places) // 2
        chosen = tokens[: len(places) - tail] + tokens[len(tokens) - tail :]
        source |= zip(places, chosen, strict=True)
    return {
        column: [
            full[column][source[place]] if place in source else value
            for place, value in enumerate(values)
        ]
        for column, values in cut.items()
    }
