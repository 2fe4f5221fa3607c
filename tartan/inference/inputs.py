"""What is predicted: a text, a pair of texts, or words to tag."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tartan.batch import LabelKind
from tartan.data.rows import check_text, check_words
from tartan.errors import DataError


class Input(NamedTuple):
    """A row to predict.

    Attributes:
        text: the text; where words are tagged, the words with a space between.
        pair: the second text of a pair, or None.
        words: the words to tag; empty where the text as a whole is predicted.
    """

    text: str
    pair: str | None = None
    words: tuple[str, ...] = ()


def as_inputs(texts: Iterable[object], kind: LabelKind, pairs: bool | None) -> Iterator[Input]:
    """Yield rows to predict from texts, pairs of texts (tuples) or words (lists).

    Args:
        texts: what is to be predicted. Where words are tagged, a text is divided at white space.
        kind: what the model predicts.
        pairs: whether the model reads pairs of texts; None to follow the first one.

    Raises:
        DataError: one is something else, is empty, or is not what the model reads; or they are one
            text, a table or a mapping, whose entries would be the names of columns.
    """
    if isinstance(texts, str | bytes):
        raise DataError("texts is a single text: give a list of texts")
    if isinstance(texts, Mapping) or len(getattr(texts, "shape", (0,))) != 1:
        raise DataError(
            f"texts is a {type(texts).__name__}: give a list of texts, or one column of a table"
        )
    for number, text in enumerate(texts):
        place = f"texts[{number}]"
        row = _words(text, place) if kind is LabelKind.TAGS else _text(text, place)
        pairs = row.pair is not None if pairs is None else pairs
        if pairs and row.pair is None:
            raise DataError(f"{place} is a single text: give pairs of texts, as tuples")
        if row.pair is not None and not pairs:
            raise DataError(f"{place} is a pair of texts: give single texts")
        yield row


def _text(value: object, place: str) -> Input:
    """Return a text or a pair of texts."""
    if isinstance(value, list):
        raise DataError(
            f"{place} is a list and the model does not tag words: give a text or a tuple of two"
        )
    if isinstance(value, tuple):
        if len(value) != 2:
            raise DataError(f"{place} has {len(value)} entries: give a pair of texts")
        return Input(check_text(value[0], place), check_text(value[1], place, "the second text"))
    return Input(check_text(value, place))


def _words(value: object, place: str) -> Input:
    """Return words to tag, of a text those between white space."""
    given = list(value) if isinstance(value, tuple) else value
    words = (
        check_words(given, "words", place)
        if isinstance(given, list)
        else tuple(check_text(given, place).split())
    )
    return Input(" ".join(words), words=words)
