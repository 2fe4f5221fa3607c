"""Texts of more tokens than a body reads: cut at the end, their middle left out, or in chunks."""

from collections.abc import Sequence

from tartan.checks import check_choice, check_range
from tartan.errors import ConfigError

WAYS = ("truncate", "head_tail", "chunks")
"""How a long text is read: `model.long`."""
LONG_TEXTS = "tartan_long_texts"
"""Where an exported model's config.json says so."""


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
    full_texts: Sequence[int | None], cut_texts: Sequence[int | None]
) -> list[int | None]:
    """Return which tokens make a row as long as a cut one from each text's first and last tokens.

    A text keeps as many tokens as in the cut row, half of them from its end (Sun et al., CCL 2019,
    section 5.3.1). Special tokens stay where the tokenizer puts them.

    Args:
        full_texts: [tokens], which text each token of the full row is of; None for special tokens.
        cut_texts: the same of the row as the tokenizer cuts it.

    Returns:
        For each token of the cut row, the token of the full row that replaces it; None for special
        tokens.

    >>> head_and_tail([None, 0, 0, 0, 0, None], [None, 0, 0, 0, None])
    [None, 1, 2, 4, None]
    """
    sources: list[int | None] = [None] * len(cut_texts)
    for text in {text for text in cut_texts if text is not None}:
        kept = [token for token, of in enumerate(cut_texts) if of == text]
        tokens = [token for token, of in enumerate(full_texts) if of == text]
        tail = len(kept) // 2
        chosen = tokens[: len(kept) - tail] + tokens[len(tokens) - tail :]
        for token, source in zip(kept, chosen, strict=True):
            sources[token] = source
    return sources
