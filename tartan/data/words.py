"""Count the words of any number of texts in bounded memory."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

LONGEST = 100
"""Characters of the longest word that counts: WordPiece reads longer ones as unknown."""
MOST = 2**17
"""Different words that are counted at most."""
PIECE = 2**16
"""Characters of a text that are split into words at once."""

Split = Callable[[str], Sequence[str]]
"""Splits a text into words."""


class WordCounts:
    """How often each word occurs, and which characters occur.

    Up to `MOST` different words, the counts are exact. Beyond, the rarer half of the words is
    dropped, of equally rare ones those seen last, and counting continues ("lossy counting", Manku
    and Motwani, 2002): words that make up much of the texts are counted nearly exactly, memory
    stays bounded, and the result is a function of the texts and their order alone.

    Attributes:
        counts: occurrences by word.
        first: characters that words consist of.
        later: characters that stand in a word after its first.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.counts: dict[str, int] = {}
        self.first: set[str] = set()
        self.later: set[str] = set()

    def add(self, words: Iterable[str]) -> None:
        """Count some words; those longer than `LONGEST` are left out."""
        for word, count in Counter(word for word in words if len(word) <= LONGEST).items():
            known = self.counts.get(word)
            if known is None:
                self.first.update(word)
                self.later.update(word[1:])
            self.counts[word] = (known or 0) + count
        if len(self.counts) > self._most:
            ranked = sorted(self.counts.items(), key=lambda item: -item[1])
            self.counts = dict(ranked[: self._most // 2])


def count_words(texts: Iterable[str], split: Split) -> WordCounts:
    """Return the word counts of texts, each of which may have any length."""
    found = WordCounts()
    for text in texts:
        for words in words_of(text, split):
            found.add(words)
    return found


def words_of(text: str, split: Split) -> Iterator[Sequence[str]]:
    """Yield the words of a text, piece by piece; not those that the end of a piece cuts in two.

    >>> list(words_of("one two", str.split))
    [['one', 'two']]
    """
    start = 0
    inside = False
    while start < len(text):
        end = start + PIECE
        if end < len(text):
            space = text.rfind(" ", start + 1, end)
            end = space if space > 0 else end
        words = split(text[start:end])
        cut = end < len(text) and text[end] != " "
        yield words[inside : len(words) - cut]
        start, inside = end, cut


def repeated(counts: Mapping[str, int], most: int = 2**24) -> Iterator[str]:
    """Yield texts, words separated by spaces, in which each word occurs as often as counted.

    Args:
        counts: occurrences by word.
        most: words in all; counts that add up to more are scaled down, to 1 at least.
    """
    total = max(sum(counts.values()), most)
    block: list[str] = []
    size = 0
    for word, count in counts.items():
        left = max(1, count * most // total)
        while left:
            taken = min(left, PIECE // (len(word) + 1))
            block.append(f"{word} " * taken)
            size += (len(word) + 1) * taken
            left -= taken
            if size >= PIECE:
                yield "".join(block)
                block, size = [], 0
    yield "".join(block)
