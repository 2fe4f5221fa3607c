import pytest

from tartan import LabelKind
from tartan.data import DemoOptions, load_task
from tartan.data.demo import make_lexicon
from tartan.errors import ConfigError


def load(**options):
    return load_task("demo", DemoOptions(**options))


def words(texts):
    return {word for text in texts for word in text.split()}


def test_the_sizes_are_those_asked_for():
    task = load(classes=3, train=7, dev=5, test=6, unlabelled=8)
    assert task.labels == ("topic-0", "topic-1", "topic-2")
    assert (task.train.num_rows, task.dev.num_rows, task.test.num_rows) == (7, 5, 6)
    assert task.corpora["task"].num_rows == 7 + 8
    assert task.dropped == {"task": 0}


def test_the_same_seed_gives_the_same_task_and_another_seed_another():
    first, again, other = load(), load(), load(seed=1)
    assert first.hashes == again.hashes
    assert not set(first.hashes.values()) & set(other.hashes.values())


def test_the_published_figures_belong_to_this_task():
    assert load().hashes["test"][:16] == "099ef692e2c58afa"


def test_a_split_does_not_depend_on_the_sizes_of_the_others():
    assert load().hashes["test"] == load(train=10, dev=20, unlabelled=30).hashes["test"]


def test_words_are_distinct_and_pronounceable():
    lexicon = make_lexicon(DemoOptions())
    every = [word for topic in (*lexicon.topics, lexicon.fillers) for word in topic]
    assert len(set(every)) == len(every) == 4 * DemoOptions.topic_words + DemoOptions.fillers
    assert all(len(word) == 4 and word[1] in "aeiou" and word[3] in "aeiou" for word in every)


def test_labelled_sentences_use_few_words_of_each_topic_and_the_others_use_all():
    task, lexicon = load(), make_lexicon(DemoOptions())
    labelled, unlabelled = words(task.train["text"]), words(task.corpora["task"]["text"])
    for topic in lexicon.topics:
        assert labelled & set(topic) <= set(topic[: DemoOptions.labelled_words])
        assert set(topic) <= unlabelled


def test_every_class_is_as_frequent_as_the_others():
    labels = load().test["label"][:]
    assert {labels.count(label) for label in range(4)} == {100}


def test_most_words_of_a_topic_stand_in_sentences_of_its_class():
    task, lexicon = load(), make_lexicon(DemoOptions())
    topic_of = {word: topic for topic, its in enumerate(lexicon.topics) for word in its}
    for text, label in zip(task.test["text"], task.test["label"], strict=True):
        topics = [topic_of[word] for word in text.split() if word in topic_of]
        assert topics.count(label) > len(topics) / 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 1}, "data.classes must be in [2, 4900], got 1."),
        ({"labelled_words": 51}, "data.labelled_words must be in [1, 50], got 51."),
        ({"min_words": 13}, "data.min_words must be in [1, 12], got 13."),
        ({"topic_share": 1.5}, "data.topic_share must be in [0, 1], got 1.5."),
        ({"stray_share": -0.1}, "data.stray_share must be in [0, 1], got -0.1."),
        ({"train": 3}, "data.train must be at least 4, got 3."),
        ({"unlabelled": -1}, "data.unlabelled must be at least 0, got -1."),
        (
            {"topic_words": 2000},
            "data.classes * topic_words + fillers must be in [1, 4900], got 8040.",
        ),
    ],
)
def test_options_that_make_no_task_are_refused(options, message):
    with pytest.raises(ConfigError) as caught:
        load(**options)
    assert str(caught.value) == message


def test_labels_of_another_kind_are_refused():
    with pytest.raises(ConfigError) as caught:
        load_task("demo", DemoOptions(), LabelKind.TAGS)
    assert str(caught.value) == (
        "data.source=demo has sentences with classes, not tags: choose data=files, data=jsonl or "
        "data=hub"
    )
