"""Spans of words: found from the states of their tags, and scored.

Spans are those of conlleval, the script of the CoNLL shared tasks (Tjong Kim Sang and De Meulder,
CoNLL 2003), with the `E` and `S` of seqeval: broken sequences have spans too.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple


class Tag(NamedTuple):
    """A tag as read.

    Attributes:
        state: a letter of BIOES, or `O`.
        type: the type of its span; empty where spans have no types.
    """

    state: str
    type: str


class Span(NamedTuple):
    """A span of words.

    Attributes:
        start: its first word, counted from 0.
        end: the word after its last one.
        type: of what it is a span.
    """

    start: int
    end: int
    type: str


OUTSIDE = Tag("O", "")


def find_spans(tags: Iterable[Tag]) -> set[Span]:
    """Return the spans of consecutive words' tags.

    >>> sorted(find_spans([Tag("B", "PER"), Tag("I", "PER"), OUTSIDE, Tag("I", "LOC")]))
    [Span(start=0, end=2, type='PER'), Span(start=3, end=4, type='LOC')]
    """
    found, start, before = set(), 0, OUTSIDE
    for word, tag in enumerate([*tags, OUTSIDE]):
        if _ends(before, tag):
            found.add(Span(start, word, before.type))
        if _begins(before, tag):
            start = word
        before = tag
    return found


def score_spans(
    predicted: Iterable[set[Span]], expected: Iterable[set[Span]]
) -> tuple[float, float, float]:
    """Compute micro-averaged precision, recall and F1 of rows of spans, 0 to 1.

    A span is correct where one with the same words and type is expected. What has no denominator
    is 0.
    """
    counts: Counter[str] = Counter()
    for found, wanted in zip(predicted, expected, strict=True):
        counts.update(correct=len(found & wanted), found=len(found), wanted=len(wanted))
    precision = counts["correct"] / max(counts["found"], 1)
    recall = counts["correct"] / max(counts["wanted"], 1)
    return precision, recall, 2 * counts["correct"] / max(counts["found"] + counts["wanted"], 1)


def _ends(tag: Tag, following: Tag) -> bool:
    """Return whether a span ends with a tag: conlleval's endOfChunk."""
    if tag.state == "O":
        return False
    return tag.state in "ES" or following.state in "BSO" or following.type != tag.type


def _begins(before: Tag, tag: Tag) -> bool:
    """Return whether a span begins with a tag: conlleval's startOfChunk."""
    if tag.state == "O":
        return False
    return tag.state in "BS" or before.state in "ESO" or before.type != tag.type
