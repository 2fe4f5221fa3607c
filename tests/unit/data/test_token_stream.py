"""Batches limited by tokens: all rows of an epoch once, whatever is read first."""

import math

from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from tartan.data import Stream
from tartan.data.token_stream import TokenStream, sizes_of
from tartan.mixture import Mixture


def rows(sizes):
    return [{"input_ids": list(range(size))} for size in sizes]


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=20),
    most=st.integers(1, 60),
    seed=st.integers(0, 5),
)
def test_an_epoch_holds_every_row_once_in_batches_that_fit(sizes, most, seed):
    stream = TokenStream(rows(sizes), most, seed, "mlm")
    order = Stream(rows(sizes), len(sizes), seed, "mlm")
    read = 0
    for epoch in range(2):
        seen = []
        while len(seen) < len(sizes):
            assert stream.count(read) == epoch * len(sizes) + len(seen)
            batch = stream.indices(read)
            assert len(batch) == 1 or sum(sizes[row] for row in batch) <= most
            seen += batch
            read += 1
        assert seen == order.indices(epoch)
        assert stream.steps(epoch + 1, 2) == math.ceil(read / 2)


@given(st.permutations(range(12)))
def test_batches_can_be_read_in_any_order(order):
    sizes = [5, 9, 2, 7, 7, 3]
    expected = TokenStream(rows(sizes), 12, 1, "clm")
    stream = TokenStream(rows(sizes), 12, 1, "clm")
    wanted = [expected.indices(number) for number in range(12)]
    assert [stream.indices(number) for number in order] == [wanted[number] for number in order]


def test_the_two_shortest_rows_need_the_least_limit():
    assert TokenStream(rows([4, 9, 3, 5]), 1, 0, "simcse").least_for_two() == 7
    assert TokenStream(rows([4]), 1, 0, "simcse").least_for_two() == 4
    assert Stream(rows([4, 9]), 1, 0, "simcse").least_for_two() == 2


def test_a_batch_takes_a_row_only_if_it_fits():
    stream = TokenStream(rows([4, 4, 4, 4]), 8, 0, "mlm")
    assert [len(stream.indices(number)) for number in range(4)] == [2, 2, 2, 2]
    assert [len(row["input_ids"]) for row in stream.rows(0)] == [4, 4]


def test_many_epochs_are_estimated_and_parts_of_one_are_rounded_up():
    stream = TokenStream(rows([4, 4, 4, 4]), 8, 0, "mlm")
    assert [stream.steps(epochs, 1) for epochs in (0, 0.5, 1, 1.75, 16, 1e6)] == [
        0, 1, 2, 4, 32, 2_000_000
    ]  # fmt: skip


def test_sizes_are_read_from_data_sets_and_mixtures():
    one, other = rows([3, 1]), Dataset.from_list(rows([2, 5, 4]))
    assert sizes_of(Mixture([one, other], 1.0)).tolist() == [3, 1, 2, 5, 4]
