"""Bootstrap intervals and calibration, against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tartan.inference.bootstrap import intervals
from tartan.inference.calibration import calibrate
from tartan.inference.evaluation import Evaluation, lines

SHARES = st.floats(0, 1, allow_nan=False)


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    values = np.random.default_rng(1).normal(size=400)
    found = intervals(lambda rows: {"mean": float(values[list(rows)].mean())}, 400, 2000)["mean"]
    error = values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.01)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.01)


def test_the_same_rows_give_the_same_interval():
    def score(rows):
        return {"sum": float(sum(rows))}

    assert intervals(score, 10, 20) == intervals(score, 10, 20)


def test_bins_hold_their_upper_end():
    found = calibrate([0.2, 0.2000001, 1.0, 0.0], [True, False, True, False], bins=5)
    assert [(b.low, b.count) for b in found.bins] == [(0.0, 2), (0.2, 1), (0.8, 1)]
    assert found.bins[0].accuracy == 0.5


@given(st.lists(st.tuples(SHARES, st.booleans()), min_size=1, max_size=30))
def test_the_error_is_a_mean_of_distances(pairs):
    found = calibrate(*zip(*pairs, strict=True))
    assert sum(each.count for each in found.bins) == len(pairs)
    assert 0 <= found.ece <= 1
    for each in found.bins:
        assert each.low - 1e-9 <= each.confidence <= each.high + 1e-9


def test_a_model_that_is_always_right_and_sure_is_calibrated():
    assert calibrate([1.0] * 7, [True] * 7).ece == 0
    assert calibrate([1.0] * 4, [True, True, True, False]).ece == 0.25


def test_the_columns_that_were_read_are_named():
    columns = {"text": "comment", "label": ["toxic", "insult"]}
    found = Evaluation("run", "mine.csv", 2, columns, {}, ["toxic", "insult"], None, None, [])
    assert lines(found) == [
        "2 rows of mine.csv (text from 'comment', label from 'toxic', 'insult')"
    ]
