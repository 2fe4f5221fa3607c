"""Several corpora are read in shares of their sizes to the power of 1/T, each row equally often."""

from collections import Counter
from random import Random

import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from support.context import TinyContext
from tartan import ConfigError, CorpusOptions, Mixture, read_corpora
from tartan.data import Stream
from tartan.mixture import shares
from tartan.plugins import discover

SIZES = st.lists(st.integers(1, 30), min_size=2, max_size=4)
TEMPERATURES = st.floats(1, 50)


def parts(sizes):
    return [[{"input_ids": [part, row]} for row in range(size)] for part, size in enumerate(sizes)]


def read(stream, batches):
    return [tuple(row["input_ids"]) for index in range(batches) for row in stream.rows(index)]


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [(1, [100, 900]), (2, [250, 750]), (1e9, [500, 500])],
)
def test_shares_are_sizes_to_the_power_of_one_over_the_temperature(temperature, expected):
    assert shares([100, 900], temperature) == expected


@given(sizes=SIZES, temperature=TEMPERATURES)
def test_an_epoch_has_as_many_rows_of_each_part_as_its_share(sizes, temperature):
    mixture = Mixture(parts(sizes), temperature)
    weights = [size ** (1 / temperature) for size in sizes]
    exact = [sum(sizes) * weight / sum(weights) for weight in weights]
    assert all(abs(a - b) < 1 for a, b in zip(mixture.counts, exact, strict=True))
    stream = Stream(mixture, sum(sizes), 0, "mlm")
    for epoch in range(3):
        counted = Counter(part for part, _ in read_batch(stream, epoch))
        assert [counted[part] for part in range(len(sizes))] == mixture.counts


def read_batch(stream, index):
    return [tuple(row["input_ids"]) for row in stream.rows(index)]


@given(sizes=SIZES, temperature=TEMPERATURES)
def test_rows_of_a_part_are_read_equally_often(sizes, temperature):
    stream = Stream(Mixture(parts(sizes), temperature), 7, 0, "mlm")
    counted = Counter(read(stream, -(-4 * sum(sizes) // 7)))
    for part, size in enumerate(sizes):
        times = [counted[part, row] for row in range(size)]
        # Within an epoch that is not complete, a part is read in another order.
        assert max(times) - min(times) <= 2


@given(sizes=SIZES, batch=st.integers(1, 20), order=st.lists(st.integers(0, 30), max_size=6))
def test_a_batch_is_a_function_of_seed_and_number(sizes, batch, order):
    used = Stream(Mixture(parts(sizes), 3.0), batch, 0, "mlm")
    for index in order:
        fresh = Stream(Mixture(parts(sizes), 3.0), batch, 0, "mlm")
        assert used.rows(index) == fresh.rows(index)


def test_parts_are_mixed_within_an_epoch_and_seeds_mix_differently():
    def batch(seed):
        return read_batch(Stream(Mixture(parts([50, 50]), 1.0), 100, seed, "mlm"), 0)

    first = [part for part, _ in batch(0)[:50]]
    assert 10 < sum(first) < 40
    assert batch(0) != batch(1)


def test_datasets_give_the_same_rows_as_lists():
    lists = parts([9, 4])
    listed = Mixture(lists, 2.0)
    stored = Mixture([Dataset.from_list(part) for part in lists], 2.0)
    indices = Random(0).choices(range(13), k=20)
    assert stored.__getitems__(indices) == listed.__getitems__(indices)
    assert [stored[index] for index in range(13)] == list(listed) == [*lists[0], *lists[1]]


class TwoCorpora(TinyContext):
    def corpus(self, name):
        return parts([4, 12])[("task", "domain").index(name)]


def test_one_name_is_a_corpus_and_several_are_a_mixture():
    context = TwoCorpora()
    assert read_corpora(context, CorpusOptions()) == context.corpus("task")
    assert read_corpora(context, CorpusOptions(["task"])) == context.corpus("task")
    mixture = read_corpora(context, CorpusOptions(["task", "domain"], 2.0))
    assert isinstance(mixture, Mixture)
    assert mixture.counts == shares([4, 12], 2.0)


@pytest.mark.parametrize("name", ["clm", "mlm", "rtd", "simcse"])
def test_every_objective_on_a_corpus_mixes_several(name):
    cls = discover().objective(name)
    options = cls.Options(corpus=["task", "domain"], mix_temperature=2.0)
    examples = cls(options, TwoCorpora()).examples()
    assert isinstance(examples, Mixture)
    assert examples.counts == shares([4, 12], 2.0)


@pytest.mark.parametrize(
    ("corpus", "temperature", "line"),
    [
        (["task", "domain"], 0.5, "mix_temperature must be at least 1 and finite, got 0.5."),
        ([], 1.0, "corpus=[]: give task, domain or a list of both."),
        ({"task": 1}, 1.0, "corpus={'task': 1}: give task, domain or a list of both."),
        (["task", "task"], 1.0, "corpus=['task', 'task']: name each corpus once."),
        (
            "task",
            2.0,
            "mix_temperature=2.0 mixes several corpora, and objectives.mine.corpus is task: set "
            "'objectives.mine.corpus=[task,domain]'.",
        ),
    ],
)
def test_mixtures_without_meaning_are_refused(corpus, temperature, line):
    with pytest.raises(ConfigError) as caught:
        read_corpora(TwoCorpora(), CorpusOptions(corpus, temperature))
    assert str(caught.value) == f"objectives.mine.{line}"
