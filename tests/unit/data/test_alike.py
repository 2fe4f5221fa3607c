"""Labels that look alike are separate classes, and the user is told before training."""

import datasets
import pytest

from support.shared import SHARED
from tartan import LabelKind
from tartan.data import JsonlOptions, Task, build_task, load_task
from tartan.data.alike import groups_alike
from tartan.data.notices import label_notices
from tartan.data.rows import Example

FAULTS = SHARED / "faults"


def task(*labels: object, kind: LabelKind = LabelKind.CLASS) -> Task:
    words = {"words": ("a",)} if kind is LabelKind.TAGS else {}
    rows = [
        Example(f"text {n}", (label,) if words else label, f"row {n}", **words)  # type: ignore[arg-type]
        for n, label in enumerate(labels)
    ]
    one = [rows[0]._replace(text="another")]
    return build_task("t", {"train": rows, "dev": one, "test": one}, kind=kind)


@pytest.mark.parametrize(
    "pair",
    [
        ("Uses", "Uses "), ("Uses", "uses"), ("Uses", " Uses"), ("a b", "a  b"),
        ("a b", "a\u00a0b"), ("caf\u00e9", "cafe\u0301"), ("ab", "a\u200bb"), ("ab", "a\ufeffb"),
        ("ab", "a\u00adb"),
        ("\u00c5", "\u212b"), ("fi", "\ufb01"), ("A", "\uff21"), ("a-b", "a\u2013b"),
        ("don't", "don\u2019t"), ("1", "1.0"), ("7", "007"), ("1e3", "1000"),
        ("STRASSE", "stra\u00dfe"),
        ("a b", "ab"), ("True", "true"),
        ("AB", "\u0410B"), ("no", "n\u043e"), ("NATO", "NA\u03a4O"),
        ("\u041f\u0410\u0420\u041a", "\u043f\u0430\u0440\u043a"),
    ],
)  # fmt: skip
def test_two_labels_that_look_alike_are_a_group(pair: tuple[str, str]):
    assert groups_alike(["other", *pair, "more"]) == [list(pair)]


@pytest.mark.parametrize(
    "pair", [("a", "b"), ("1", "-1"), ("10", "1"), ("C", "C++"), ("e", "é"), ("9" * 400, "1e999")]
)
def test_others_are_not(pair: tuple[str, str]):
    assert groups_alike(pair) == []


def test_the_notice_counts_each_and_shows_them_apart():
    assert label_notices(task("Uses", "Uses ", "Uses", "Extends")) == [
        r"These labels look alike and are separate classes: 'Uses' (2 in train), 'Uses\x20' "
        "(1 in train)."
    ]
    assert label_notices(task("e\u0301", "\u00e9")) == [
        r"These labels look alike and are separate classes: 'e\u0301' (1 in train), 'é' "
        "(1 in train)."
    ]


def test_tags_are_compared_too():
    found = label_notices(task("B-PER", "B-per", "B-per", "O", kind=LabelKind.TAGS))
    assert found == [
        "These labels look alike and are separate classes: 'B-PER' (1 in train), 'B-per' "
        "(2 in train)."
    ]


def test_many_groups_are_counted_from_the_sixth():
    labels = [form for n in range(7) for form in (f"x{n}y", f"X{n}Y")]
    *named, last = label_notices(task(*labels))
    assert (len(named), last) == (5, "2 more groups of labels look alike.")


def test_a_class_called_na_is_reported():
    assert label_notices(task("NA", "EU", "NA")) == [
        "Label 'NA' (2 in train) is a class name here; it does not mean that the label is missing."
    ]


def test_labels_that_differ_and_numbers_give_no_notice():
    assert label_notices(task("a", "b")) == []
    assert label_notices(task(1.0, 2.0, kind=LabelKind.NUMBER)) == []
    assert isinstance(task("a", "b").train, datasets.Dataset)


@pytest.mark.skipif(not FAULTS.is_dir(), reason="../shared is missing")
def test_an_input_whose_labels_differ_in_a_space_is_reported():
    found = label_notices(load_task("jsonl", JsonlOptions(dir=str(FAULTS / "8/space"))))
    assert len(found) == 1
    assert "'Uses' (" in found[0]
    assert r"'Uses\x20' (" in found[0]
