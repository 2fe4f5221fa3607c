"""`data.labelled`: fewer labels, the same texts."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tartan.batch import LabelKind
from tartan.data import Task, build_task
from tartan.data.label_subset import LabelledOptions, keep_labels
from tartan.data.nested import nested_order
from tartan.data.notices import subset_notices
from tartan.data.rows import Example
from tartan.errors import ConfigError
from tartan.experiment.tasks import load_section

STRATA = st.lists(st.integers(0, 4), min_size=1, max_size=80)


def rows(split: str, labels, kind: LabelKind = LabelKind.CLASS) -> list[Example]:
    found = []
    for number, label in enumerate(labels):
        words = tuple(f"w{n}" for n in range(len(label))) if kind is LabelKind.TAGS else ()
        text = " ".join(words) if words else f"{split} {number}"
        found.append(Example(text, label, f"{split}:{number}", words=words))
    return found


def task(labels, kind: LabelKind = LabelKind.CLASS, dev=None) -> Task:
    splits = {"train": rows("train", labels, kind), "dev": dev or rows("dev", labels[:2], kind)}
    return build_task("t", splits, unlabelled=["more"], kind=kind)


def kept(task: Task, count: int, seed: int = 0) -> Task:
    return keep_labels(task, LabelledOptions(count, seed))


@given(strata=STRATA, seed=st.integers(0, 2**40))
def test_the_order_has_every_row_once_and_is_the_seeds(strata, seed):
    order = nested_order(strata, seed)
    assert sorted(order) == list(range(len(strata)))
    assert nested_order(strata, seed) == order


@given(strata=STRATA, seed=st.integers(0, 2**40), share=st.floats(0, 1))
def test_every_beginning_is_stratified(strata, seed, share):
    sizes = Counter(strata)
    count = max(round(share * len(strata)), len(sizes))
    found = Counter(strata[row] for row in nested_order(strata, seed)[:count])
    assert set(found) == set(sizes)
    # One row of each stratum comes first; that shifts the others by at most as many.
    for stratum, size in sizes.items():
        assert abs(found[stratum] - count * size / len(strata)) <= len(sizes)


def test_a_smaller_subset_is_part_of_a_larger_one_and_keeps_the_order():
    whole = task(["a", "b", "b", "b"] * 20)
    parts = [kept(whole, count).train["text"][:] for count in (4, 8, 40, 80)]
    for small, large in pairwise(parts):
        assert set(small) < set(large)
    assert parts[-1] == whole.train["text"][:]
    assert parts[1] == [text for text in whole.train["text"][:] if text in parts[1]]
    assert kept(whole, 40, seed=1).train["text"][:] != parts[2]


def test_proportions_are_those_of_the_labels():
    subset = kept(task(["a", "b", "b", "b"] * 20), 40).subset
    assert subset is not None
    assert (subset.of, subset.seed, subset.labels) == (80, 0, {"a": 10, "b": 30})


def test_corpora_and_classes_are_those_of_all_rows():
    whole = task(["rare"] + ["a", "b"] * 10)
    part = kept(whole, 3)
    assert part.labels == ("a", "b", "rare")
    assert sorted(part.train["label"][:]) == [0, 1, 2]
    assert part.corpora["task"]["text"][:] == whole.corpora["task"]["text"][:]
    assert len(part.corpora["task"]) == 22
    assert part.hashes == whole.hashes


def test_leaks_and_conflicts_are_those_of_the_rows_that_are_left():
    train = [*rows("train", ["a", "b"] * 5), Example("x", "a", "p"), Example("x", "b", "p")]
    dev = [Example("x", "a", "d"), Example("train 0", "b", "d")]
    whole = build_task("t", {"train": train, "dev": dev})
    assert (whole.leaks["train"], whole.conflicts) == (3, 2)
    for seed in range(5):
        part = kept(whole, 6, seed)
        texts = part.train["text"][:]
        assert part.leaks["train"] == texts.count("x") + texts.count("train 0")
        assert part.conflicts == (2 if texts.count("x") == 2 else 0)


def test_numbers_are_stratified_by_their_size():
    numbers = [float(number) for number in range(100)]
    found = kept(task(numbers, LabelKind.NUMBER), 10).train["label"][:]
    assert [int(number) // 10 for number in found] == list(range(10))


def test_rows_of_tags_are_stratified_by_their_rarest_tag():
    whole = task([("O", "O")] * 50 + [("O", "B")] * 8 + [("O", "C")] * 2, LabelKind.TAGS)
    subset = kept(whole, 6).subset
    assert subset is not None
    assert subset.labels == {"B": 1, "C": 1, "O": 10}


def test_what_is_kept_is_reported():
    assert subset_notices(kept(task(["a", "b", "b", "b"] * 20), 8)) == [
        "8 training rows of 80 kept their labels (data.labelled_seed=0: a 2, b 6). The task corpus "
        "has the texts of all."
    ]
    assert subset_notices(task(["a", "b"])) == []
    assert subset_notices(kept(task([("O", "B")] * 2, LabelKind.TAGS), 1)) == [
        "1 training row of 2 kept its label (data.labelled_seed=0: B 1, O 1). The task corpus has "
        "the texts of all."
    ]
    assert subset_notices(kept(task([1.0, 2.0, 3.0], LabelKind.NUMBER), 2)) == [
        "2 training rows of 3 kept their labels (data.labelled_seed=0). The task corpus has the "
        "texts of all."
    ]


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (0, "data.labelled=0: t has 6 labelled training rows: give between 1 and 6, or null for "
            "all of them"),
        (7, "data.labelled=7: t has 6 labelled training rows: give between 1 and 6, or null for "
            "all of them"),
        (1, "data.labelled=1: at least 2 rows are needed for every label of t to occur: give 2 or "
            "more"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused(count, message):
    with pytest.raises(ConfigError) as caught:
        kept(task(["a", "b", "b"] * 2), count)
    assert str(caught.value) == message


def test_numbers_are_kept_until_two_differ():
    numbers = [1.0] * 8 + [2.0]
    with pytest.raises(
        ConfigError, match=r"at least (\d+) rows .* two different numbers"
    ) as caught:
        kept(task(numbers, LabelKind.NUMBER), 1)
    least = int(str(caught.value).split()[3])
    assert len(set(kept(task(numbers, LabelKind.NUMBER), least).train["label"])) == 2
    with pytest.raises(ConfigError, match=f"at least {least} rows"):
        kept(task(numbers, LabelKind.NUMBER), least - 1)


@pytest.mark.parametrize("source", ["demo", "jsonl", "hub"])
def test_every_source_has_it(source, jsonl, dictionary, tmp_path):
    dictionary.save_to_disk(str(tmp_path / "hub"))
    place = {"jsonl": {"dir": str(jsonl())}, "hub": {"name": str(tmp_path / "hub")}}.get(source, {})
    section = {"source": source, "metric": None, "labelled": None, "labelled_seed": 3, **place}
    whole = load_section(section, LabelKind.CLASS)
    few = len(whole.labels)
    part = load_section(section | {"labelled": few}, LabelKind.CLASS)
    assert (len(part.train), len(part.dev)) == (few, len(whole.dev))
    assert len(part.corpora["task"]) == len(whole.corpora["task"])
    with pytest.raises(ConfigError, match=r"data\.labelled"):
        load_section(section | {"labelled": "many"}, LabelKind.CLASS)


def test_every_label_is_covered_even_if_it_is_nowhere_the_rarest():
    # B is in four rows, each with a rarer label, whose other rows lack B.
    sets = [("B", "M"), ("M",), ("B", "N"), ("N",), ("B", "O"), ("O",), ("B", "P"), ("P",)]
    whole = task([*sets, *[("x",)] * 40], LabelKind.SETS)
    for seed in range(20):
        subset = kept(whole, 6, seed).subset
        assert subset is not None
        assert all(subset.labels.values())
