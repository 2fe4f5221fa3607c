"""Spans and their scores are those of seqeval and conlleval, of broken sequences too."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score

from tartan.spans import Span, score_spans
from tartan.tags import TagScheme


def test_spans_do_not_cross_rows_and_types_separate_them():
    scheme = TagScheme.find(["B-A", "I-A", "I-B", "O"])
    assert scheme.spans([1, 2, 2, 3, 0, 0, 1]) == {
        Span(0, 1, "A"), Span(1, 3, "B"), Span(4, 5, "A"), Span(5, 7, "A"),
    }  # fmt: skip
    assert scheme.spans([]) == set()


TAGS = ["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in "AB")]
ROW = st.lists(st.sampled_from(TAGS), min_size=1, max_size=8)


@given(st.lists(st.tuples(ROW, ROW), min_size=1, max_size=5))
def test_scores_are_seqevals_whatever_the_sequence(pairs: list[tuple[list[str], list[str]]]):
    """Most of these sequences are broken: ends without a beginning, say."""
    pairs = [(one[: len(other)], other[: len(one)]) for one, other in pairs]
    predicted, expected = ([list(row) for row in side] for side in zip(*pairs, strict=True))
    scheme = TagScheme.find(TAGS)
    spans = [
        [scheme.spans(TAGS.index(tag) for tag in row) for row in side]
        for side in (predicted, expected)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metrics without a denominator
        wanted = [score(expected, predicted) for score in (precision_score, recall_score, f1_score)]
    assert score_spans(*spans) == pytest.approx(tuple(map(float, wanted)))


def test_a_span_is_right_as_a_whole_and_rows_are_counted_together():
    """Of 3 spans in the first row 1 is found, with 1 that is wrong; in the second 1 of 1."""
    found = [{Span(0, 2, "A"), Span(3, 5, "B")}, {Span(0, 1, "A")}]
    wanted = [{Span(0, 2, "A"), Span(3, 4, "B"), Span(6, 7, "A")}, {Span(0, 1, "A")}]
    assert score_spans(found, wanted) == pytest.approx((2 / 3, 2 / 4, 4 / 7))
    assert score_spans([set()], [set()]) == (0.0, 0.0, 0.0)
