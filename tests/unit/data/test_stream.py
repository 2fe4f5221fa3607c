from collections import Counter

import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from tartan.data import Stream
from tartan.errors import DataError

SIZES = st.integers(1, 40)


def numbers(count):
    return [{"input_ids": [n]} for n in range(count)]


def ids(rows):
    return [row["input_ids"][0] for row in rows]


def flat(stream, batches):
    return [n for index in range(batches) for n in ids(stream.rows(index))]


@given(rows=SIZES, batch=SIZES, seed=st.integers(0, 2**40))
def test_each_epoch_holds_every_row_exactly_once(rows, batch, seed):
    epochs = 3
    batches = -(-epochs * rows // batch)
    sequence = flat(Stream(numbers(rows), batch, seed, "mlm"), batches)
    assert len(sequence) == batches * batch
    for epoch in range(epochs):
        assert sorted(sequence[epoch * rows : (epoch + 1) * rows]) == list(range(rows))


@given(rows=SIZES, batch=SIZES, order=st.lists(st.integers(0, 30), max_size=8))
def test_a_batch_does_not_depend_on_what_was_asked_before(rows, batch, order):
    used = Stream(numbers(rows), batch, 0, "mlm")
    for index in order:
        assert used.rows(index) == Stream(numbers(rows), batch, 0, "mlm").rows(index)


@given(rows=SIZES, small=st.integers(1, 8), factor=st.integers(1, 6))
def test_the_batch_size_cuts_one_and_the_same_sequence(rows, small, factor):
    fine = Stream(numbers(rows), small, 0, "mlm")
    coarse = Stream(numbers(rows), small * factor, 0, "mlm")
    assert flat(fine, 2 * factor) == flat(coarse, 2)


def test_epochs_seeds_and_names_each_have_their_own_order():
    def order(seed, name, epoch):
        return tuple(ids(Stream(numbers(50), 50, seed, name).rows(epoch)))

    orders = [order(0, "mlm", 0), order(0, "mlm", 1), order(1, "mlm", 0), order(0, "rtd", 0)]
    assert len(set(orders)) == 4


def test_a_batch_larger_than_the_data_repeats_its_rows():
    counts = Counter(ids(Stream(numbers(3), 8, 0, "mlm").rows(0)))
    assert sum(counts.values()) == 8
    assert set(counts.values()) == {2, 3}


def test_a_dataset_gives_the_same_rows_as_a_list():
    rows = numbers(20)
    listed, stored = (Stream(data, 6, 0, "mlm") for data in (rows, Dataset.from_list(rows)))
    assert [stored.rows(index) for index in range(7)] == [listed.rows(index) for index in range(7)]


def test_a_dataset_is_read_once_a_batch():
    class Counting(list):
        reads = 0

        def __getitems__(self, keys):
            self.reads += 1
            return [self[key] for key in keys]

    rows = Counting(numbers(10))
    Stream(rows, 7, 0, "mlm").rows(1)
    assert rows.reads == 1


def test_no_examples_is_an_error_that_names_the_objective():
    with pytest.raises(DataError) as caught:
        Stream([], 4, 0, "dapt")
    assert str(caught.value) == "objective 'dapt' has no examples: give it a corpus with text"


def test_there_is_no_batch_before_the_first():
    with pytest.raises(IndexError, match="batches are counted from 0"):
        Stream(numbers(3), 2, 0, "mlm").rows(-1)
