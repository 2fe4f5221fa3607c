import pytest
from hypothesis import given
from hypothesis import strategies as st

from tartan import LabelKind
from tartan.data import training_part
from tartan.data.digests import digest
from tartan.data.labels import in_order
from tartan.data.rows import Example
from tartan.data.splits import line
from tartan.data.task import Task, build_corpus, build_task
from tartan.errors import DataError


def split(name, *rows):
    return [Example(text, label, f"{name}:{n}") for n, (text, label) in enumerate(rows, start=1)]


def splits(train=(("a", "x"), ("b", "y")), dev=(("c", "x"),), test=(("d", "y"),)):
    return {
        "train": split("train", *train),
        "dev": split("dev", *dev),
        "test": split("test", *test),
    }


def test_labels_are_sorted_and_ids_are_their_positions():
    task = build_task("t", splits(train=[("a", "y"), ("b", "x"), ("e", "y")]))
    assert task.labels == ("x", "y")
    assert task.train[:] == {"text": ["a", "b", "e"], "label": [1, 0, 1]}
    assert task.dev["label"][0] == 0
    assert task.test["label"][0] == 1


def test_integer_labels_keep_the_order_of_numbers():
    task = build_task("t", splits([("a", 10), ("b", 9)], [("c", 9)], [("d", 10)]))
    assert task.labels == ("9", "10")


def test_boolean_labels_are_named_true_and_false():
    task = build_task("t", splits([("a", True), ("b", False)], [("c", True)], [("d", False)]))
    assert task.labels == ("false", "true")
    assert task.train["label"][0] == 1


def test_a_declared_order_is_kept_and_its_absent_classes_left_out():
    task = build_task("t", splits(), order=["y", "never", "x"])
    assert task.labels == ("y", "x")


def test_the_task_corpus_is_the_training_text_and_the_unlabelled_text():
    task = build_task("t", splits(), unlabelled=["e", "f"])
    assert list(task.corpora) == ["task"]
    assert task.corpora["task"][:] == {"text": ["a", "b", "e", "f"]}


def test_the_domain_corpus_is_there_where_the_source_has_one():
    task = build_task("t", splits(), domain=iter(["g", "h"]))
    assert task.corpora["domain"][:] == {"text": ["g", "h"]}
    assert task.dropped == {"task": 0, "domain": 0}


def test_dev_and_test_texts_never_enter_a_corpus():
    task = build_task(
        "t",
        splits(train=[("a", "x"), ("b", "y"), ("c", "x")]),
        unlabelled=["  d\t", "e"],
        domain=["c", "d", "g c"],
    )
    assert task.corpora["task"]["text"][:] == ["a", "b", "e"]
    assert task.corpora["domain"]["text"][:] == ["g c"]
    assert task.dropped == {"task": 2, "domain": 2}
    assert task.train.num_rows == 3, "the labelled split stays as it was given"


def test_white_space_alone_does_not_make_a_text_another():
    corpus = build_corpus("t", "domain", ["a  b.", "\ta\nb .", "ab"], {digest("ab.")})
    assert corpus.texts["text"][:] == ["ab"]
    assert corpus.dropped == 2


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"train": [("a!", "x"), ("b", "y")]}, {"train", "task"}),
        ({"train": [("a", "y"), ("b", "x")]}, {"train"}),
        ({"dev": [("c", "y")]}, {"dev"}),
        ({"test": [("e", "y")]}, {"test"}),
    ],
)
def test_a_hash_changes_with_its_own_content_alone(change, differs):
    before = build_task("t", splits(), domain=["g"]).hashes
    after = build_task("t", splits(**change), domain=["g"]).hashes
    assert set(before) == {"train", "dev", "test", "task", "domain"}
    assert {name for name in before if before[name] != after[name]} == differs


def test_a_hash_tells_fields_and_rows_apart():
    contents = [[("ab", "c")], [("a", "bc")], [("ab",), ("c",)], [("c",), ("ab",)]]
    assert len({b"".join(map(line, rows)) for rows in contents}) == len(contents)


def error(**changes) -> str:
    with pytest.raises(DataError) as caught:
        build_task("t", splits(**changes))
    return str(caught.value)


def test_a_label_unseen_in_train_is_answered_with_the_nearest():
    assert error(train=[("a", "Uses"), ("b", "Motivation")], dev=[("c", "Usess")]) == (
        "dev:1: label 'Usess' does not occur in train: did you mean 'Uses'? "
        "(train has Motivation, Uses)"
    )


def test_a_label_unseen_in_train_is_answered_with_all_when_none_is_near():
    assert error(test=[("c", "x"), ("d", "zzz")]) == (
        "test:2: label 'zzz' does not occur in train: choose from: x, y"
    )


def test_label_types_do_not_mix_across_splits():
    assert error(dev=[("c", 1)]) == (
        "dev:1: label is an integer, but a string at train:1: use one type throughout"
    )


def test_numbers_to_predict_need_two_values():
    rows = [Example(text, 3.0, f"train:{number}") for number, text in enumerate("abc")]
    with pytest.raises(DataError, match=r"^t: train has the one number 3: give it at least two$"):
        build_task("t", {"train": rows}, kind=LabelKind.NUMBER)


def test_booleans_and_integers_do_not_mix():
    assert error(train=[("a", True), ("b", 0)]) == (
        "train:2: label is an integer, but a boolean at train:1: use one type throughout"
    )


def test_train_needs_two_classes():
    assert error(train=[("a", "x")]) == "t: train has the one class 'x': give it at least two"


@pytest.mark.parametrize("empty", ["train", "dev", "test"])
def test_every_split_needs_rows(empty):
    assert error(**{empty: []}) == f"t: {empty} has no rows: give it some"


def test_a_corpus_needs_text_outside_dev_and_test():
    with pytest.raises(DataError) as caught:
        build_task("t", splits(), domain=["c", "d "])
    assert str(caught.value) == (
        "t: all 2 texts of the domain corpus also appear in dev or test: give it other text"
    )


def test_a_task_cannot_be_changed():
    task = build_task("t", splits())
    assert isinstance(task, Task)
    with pytest.raises(AttributeError):
        task.name = "other"


def pairs(name, *rows):
    return [Example(text, label, f"{name}:{n}", pair) for n, (text, pair, label) in enumerate(rows)]


def test_each_text_of_a_pair_is_a_text_of_the_corpus_unless_dev_or_test_has_it():
    rows = {
        "train": pairs("train", ("a", "b", "x"), ("c", "d", "y")),
        "dev": pairs("dev", ("e", "a ", "x")),
        "test": pairs("test", ("d", "f", "y")),
    }
    task = build_task("t", rows, unlabelled=["f", "g"])
    assert task.corpora["task"]["text"][:] == ["b", "c", "g"]
    assert task.dropped == {"task": 3}


def lent(train, **end_task):
    """What is lent of a task with the given training rows."""
    other = build_task("other", {"train": train})
    return training_part(other, build_task("t", splits(**end_task)))


def test_rows_with_a_text_of_the_end_tasks_dev_or_test_are_not_lent():
    train = split("o", ("a", "u"), ("c ", "v"), ("d", "u"), ("f", "v"))
    part, dropped = lent(train)
    assert part.train[:] == {"text": ["a", "f"], "label": [0, 1]}
    assert dropped == 2


def test_neither_text_of_a_pair_may_be_one_of_the_end_tasks():
    train = pairs("o", ("a", "c", "u"), ("d", "b", "v"), ("a", "b", "u"))
    part, dropped = lent(train)
    assert part.train["text_pair"][:] == ["b"]
    assert dropped == 2


def test_nothing_but_training_rows_is_lent():
    whole = build_task("other", splits([("g", "x"), ("h", "y")]), domain=["k"])
    part, dropped = training_part(whole, build_task("t", splits()))
    assert (len(part.train), len(part.dev), len(part.test)) == (2, 0, 0)
    assert dict(part.corpora) == {}
    assert set(part.hashes) == {"train"}
    assert dropped == 0


def test_a_task_that_lends_nothing_is_refused():
    with pytest.raises(DataError) as caught:
        lent(split("o", ("c", "u"), ("d", "v")))
    assert str(caught.value) == (
        "other: all 2 rows of train also appear in the end task's dev or test: give it other data"
    )


def test_a_hash_changes_with_words_tags_and_numbers():
    def digest(kind, label, words=()):
        text = " ".join(words) or "a"
        last = 0.0 if kind is LabelKind.NUMBER else label
        rows = [Example(text, label, "p", words=words), Example("z", last, "p", words=words)]
        return build_task("t", {"train": rows}, kind=kind).hashes["train"]

    tags, number = LabelKind.TAGS, LabelKind.NUMBER
    digests = {
        digest(tags, ("O", "B"), ("a", "b")),
        digest(tags, ("B", "O"), ("a", "b")),
        digest(tags, ("O", "B"), ("a b", "c")),
        digest(number, 1.0),
        digest(number, 1.5),
    }
    assert len(digests) == 5


def test_rows_that_dev_or_test_has_are_counted_and_kept():
    task = build_task(
        "t",
        splits(
            train=[("a", "x"), ("b", "y"), ("c", "x"), ("c ", "x"), ("d", "x")],
            dev=[("c", "x"), ("e", "y")],
            test=[("d", "y"), ("e", "x"), ("f", "y")],
        ),
    )
    assert task.leaks == {"train": 3, "test": 1}
    assert (len(task.train), len(task.test)) == (5, 3)


def test_a_pair_is_known_if_both_of_its_texts_are():
    rows = {
        "train": pairs("train", ("a", "b", "x"), ("a", "c", "y"), ("b", "a", "x")),
        "dev": pairs("dev", ("a", "b", "x")),
        "test": pairs("test", ("a", "d", "y")),
    }
    assert build_task("t", rows, unlabelled=["f"]).leaks == {"train": 1, "test": 0}


@pytest.mark.parametrize(
    ("rows", "conflicts"),
    [
        ([("a", "x"), ("b", "y"), ("a", "x")], 0),
        ([("a", "x"), ("b", "y"), (" a", "y")], 2),
        ([("a", "x"), ("a", "y"), ("a", "x"), ("b", "x"), ("b", "y"), ("e", "x")], 5),
        ([("a", "New York"), ("a", "NewYork"), ("b", "x"), ("c", "y")], 2),
    ],
)
def test_rows_of_train_with_one_text_and_two_labels_are_counted_and_kept(rows, conflicts):
    task = build_task("t", splits(train=rows))
    assert task.conflicts == conflicts
    assert len(task.train) == len(rows)


def test_words_with_other_tags_and_numbers_that_differ_are_conflicts_too():
    tags = [Example("a b", label, "p", words=("a", "b")) for label in (("O", "X"), ("X", "O"))]
    numbers = [Example("a", label, "p") for label in (1.0, 1.5, 1.5)]
    assert build_task("t", {"train": tags}, kind=LabelKind.TAGS).conflicts == 2
    assert build_task("t", {"train": numbers}, kind=LabelKind.NUMBER).conflicts == 3


def test_a_class_that_only_train_has_is_a_class():
    assert build_task("t", splits(train=[("a", "x"), ("b", "y"), ("e", "z")])).labels == tuple(
        "xyz"
    )


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6
).filter(str.strip)
CLASSES = st.sampled_from(
    [("yes", "no", "don't know"), (True, False), (10, 9, -1, 2**70), ("2", "10", "9")]
)


def name(label):
    return {True: "true", False: "false"}[label] if isinstance(label, bool) else str(label)


@given(CLASSES, st.data())
def test_what_is_read_is_what_was_written(classes, data):
    rows = st.lists(st.tuples(TEXTS, st.sampled_from(classes)), min_size=1, max_size=12)
    train = [*data.draw(rows), ("one", classes[0]), ("other", classes[1])]
    known = [label for label in classes if label in {label for _, label in train}]
    held = rows.map(lambda drawn: [(text, known[0]) for text, _ in drawn])
    given = {"train": train, "dev": data.draw(held), "test": data.draw(held)}
    unlabelled = data.draw(st.lists(TEXTS, max_size=9))
    task = build_task("t", splits(**given), unlabelled=[*unlabelled, "\ue000"])
    for part, expected in given.items():
        found = getattr(task, part)
        assert found["text"][:] == [text for text, _ in expected]
        names = [task.labels[number] for number in found["label"]]
        assert names == [name(label) for _, label in expected]
    assert task.labels == tuple(map(name, in_order(known)))
    held_out = {"".join(text.split()) for part in ("dev", "test") for text, _ in given[part]}
    everything = [text for text, _ in train] + [*unlabelled, "\ue000"]
    kept = [text for text in everything if "".join(text.split()) not in held_out]
    assert task.corpora["task"]["text"][:] == kept
    assert task.dropped == {"task": len(everything) - len(kept)}
