"""Where a row's text begins and ends, between the tokens that the tokenizer adds around it."""

from collections.abc import Sequence
from itertools import takewhile

from tartan.context import Context


class TextBounds:
    """Finds a row's text between the tokens that the tokenizer adds.

    A text can begin or end with a special token of its own, for example an unknown one: that
    belongs to the text.
    """

    def __init__(self, context: Context) -> None:
        """Read which tokens the tokenizer of an objective's context adds around a text."""
        encoding = context.tokenizer("a", return_special_tokens_mask=True)
        ids, added = encoding["input_ids"], encoding["special_tokens_mask"]
        pairs = list(zip(ids, added, strict=True))
        self._before = [id for id, _ in takewhile(_is_added, pairs)]
        self._after = [id for id, _ in takewhile(_is_added, reversed(pairs))]

    def __call__(self, ids: Sequence[int]) -> tuple[int, int]:
        """Return the place of the text's first token, and the one behind its last; [tokens] ids."""
        begin = _common(ids, self._before)
        return begin, len(ids) - _common(list(reversed(ids[begin:])), self._after)


def _is_added(pair: tuple[int, int]) -> bool:
    return bool(pair[1])


def _common(ids: Sequence[int], added: Sequence[int]) -> int:
    """Return how many tokens both begin with.

    >>> _common([0, 7, 2], [0, 2])
    1
    """
    same = takewhile(lambda pair: pair[0] == pair[1], zip(ids, added, strict=False))
    return sum(1 for _ in same)
