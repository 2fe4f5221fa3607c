"""What is predicted: a text, a pair of texts, or words to tag."""

from typing import NamedTuple

from tartan.data.rows import check_text, check_words


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


def as_input(text: object, number: int | None = None) -> Input:
    """Return a row to predict from a text, a pair of texts (a tuple) or words (a list).

    Raises:
        DataError: it is something else, or empty.
    """
    place = "texts" if number is None else f"texts[{number}]"
    if isinstance(text, tuple) and len(text) == 2:
        return Input(check_text(text[0], place), check_text(text[1], place, "the second text"))
    if isinstance(text, list):
        words = check_words(text, "words", place)
        return Input(" ".join(words), words=words)
    return Input(check_text(text, place))
